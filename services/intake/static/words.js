// How the page reads and writes numbers: frames, times, sizes, money; and the words of changes.
"use strict";
const WORDS = {
  "render-with-cycles": "Render with Cycles", "pictures-instead-of-video": "Pictures instead of video",
  "full-resolution": "Render at 100 %", "whole-picture": "Render the whole picture", "one-view": "Render one view",
  "first-camera": "Use the first camera", "without-sequencer": "Render the scene itself",
  "without-file-outputs": "Leave the other files out", "step-simulations": "Run the simulations on every machine",
};

function numbers(text) {
  const found = [];
  for (const part of (text || "").split(",").filter(Boolean)) {
    const [, first, last, step] = /^(-?\d+)(?:-(-?\d+))?(?:x(\d+))?$/.exec(part);
    for (let n = +first; n <= +(last ?? first); n += +(step || 1)) found.push(n);
  }
  return found;
}
function duration(seconds) {
  const s = Math.round(seconds), h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60);
  return h ? `${h} h ${String(m).padStart(2, "0")} min` : m ? `${m} min ${String(s % 60).padStart(2, "0")} s` : `${s} s`;
}
function size(bytes) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (bytes < 1000 || unit === "GB") return `${bytes.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    bytes /= 1000;
  }
}
function credits(text) {
  const [whole, decimals = ""] = String(text).split(".");
  return `${whole}.${decimals.slice(0, 4).padEnd(4, "0")}`;
}
function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
