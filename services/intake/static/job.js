// The live page of one job: a stream of server-sent events, drawn. Everything from the farm is put in as text, never as markup.
"use strict";
const JOB = document.body.dataset.job;
const API = `/v1/jobs/${JOB}`;
const COLOURS = ["#5fd38d", "#6cb6ff", "#ffb454", "#b794f6", "#ff8fa3", "#4fd6d6", "#d6d64f", "#ff9f6c"];
const PICTURES = 600; // frames that get a cell with a picture; longer jobs get small squares
const SQUARES = 4000; // beyond that one square stands for several frames
const MORE_TRIES = 5;
const $ = (id) => document.getElementById(id);
const cells = new Map(); // first frame of a cell -> element
const status = new Map(); // frame -> "stored" | "arriving"
const agents = new Map(); // agent -> colour
const byAgent = new Map(); // frame -> agent
let frames = [], span = 1, job = null, drawn = "", painting = false;

function el(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}
function colour(agent) {
  if (!agents.has(agent)) agents.set(agent, COLOURS[agents.size % COLOURS.length]);
  return agents.get(agent);
}

function layGrid() {
  const text = job.frames || job.asked_frames;
  if (!text || text === drawn) return;
  drawn = text;
  frames = numbers(text);
  span = Math.max(1, Math.ceil(frames.length / SQUARES));
  const small = frames.length > PICTURES;
  $("grid").classList.toggle("small", small);
  if (job.width && job.height) $("grid").style.setProperty("--shape", `${job.width} / ${job.height}`);
  cells.clear();
  $("grid").replaceChildren(...frames.filter((_, at) => at % span === 0).map((frame, at) => {
    const last = frames[Math.min(frames.length, (at + 1) * span) - 1];
    const cell = el("div", { className: "cell", title: last === frame ? `Frame ${frame}` : `Frames ${frame} to ${last}` });
    if (!small) cell.append(el("span", { textContent: frame }));
    cell.addEventListener("click", () => cell.classList.contains("stored") && openFrame(frame));
    cells.set(frame, cell);
    return cell;
  }));
  paint();
}
function stateOf(some, rendering) {
  if (some.every((frame) => status.get(frame) === "stored")) return "stored";
  if (some.some((frame) => status.has(frame))) return "arriving";
  return some.some((frame) => rendering.has(frame)) ? "rendering" : "";
}
function paint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    const rendering = new Set((job?.agents || []).flatMap((one) => one.rendering));
    let at = 0;
    for (const [frame, cell] of cells) {
      const now = stateOf(frames.slice(at, (at += span)), rendering);
      cell.className = `cell ${now}`;
      if (byAgent.has(frame)) cell.style.setProperty("--agent", colour(byAgent.get(frame)));
      if (now === "stored" && frames.length <= PICTURES && !cell.querySelector("img")) picture(cell, frame);
    }
  });
}
function picture(cell, frame, tries = 0) {
  const img = el("img", { alt: "", loading: "lazy", decoding: "async" });
  img.addEventListener("load", () => img.classList.add("shown"));
  img.addEventListener("error", () => {
    if (tries < MORE_TRIES) setTimeout(() => { img.remove(); picture(cell, frame, tries + 1); }, 1500 * (tries + 1));
  });
  img.src = `${API}/thumbnails/${frame}`;
  cell.prepend(img);
}

function drawJob() {
  $("state").textContent = job.state;
  $("state").className = `chip ${job.state}`;
  $("reason").textContent = job.reason;
  const shape = job.width ? `${job.width}×${job.height}` : "";
  $("shape").textContent = [shape, job.fps ? `${job.fps} fps` : "", `${job.price_per_wu} credits/WU`].filter(Boolean).join(" · ");
  document.title = `${job.total ? Math.floor((100 * job.stored) / job.total) + " % · " : ""}${job.name} · Framelend`;
  drawNumbers();
  drawSteering();
  drawQuote();
  drawAgents();
  drawFindings();
  drawFiles();
  drawBill();
  drawNotice();
}
function drawNumbers() {
  $("done").textContent = job.stored;
  $("of").textContent = job.total ? ` / ${job.total}` : "";
  const left = job.remaining_seconds || (job.state === "quoted" && job.quote ? job.quote.seconds : null);
  $("eta").textContent = job.ended ? "done" : left ? duration(left.expected) : "–";
  if (job.ended && job.state !== "completed") $("eta").textContent = job.state;
  $("band").textContent = left && !job.ended ? `${job.state === "quoted" ? "from the start" : "left"}, ${duration(left.low)} to ${duration(left.high)}` : "time left";
  if (job.ended) $("band").textContent = "the job is over";
  $("charged").textContent = credits(job.charged);
  $("price").textContent = job.quote ? ` of ${credits(job.quote.price)}` : "";
  const total = job.total || 1;
  const arriving = [...status.values()].filter((one) => one === "arriving").length;
  $("bar-stored").style.width = `${(100 * job.stored) / total}%`;
  $("bar-arriving").style.width = `${Math.min(100, (100 * (job.stored + arriving)) / total)}%`;
  $("bar-cost").style.width = job.quote ? `${Math.min(100, (100 * job.charged) / job.quote.price)}%` : "0";
}
function drawSteering() {
  const over = job.ended || job.control === "cancel" || ["packaging"].includes(job.state);
  $("pause").hidden = over || job.control === "pause";
  $("resume").hidden = over || job.control !== "pause";
  $("cancel").hidden = over;
}
function lines(table, rows, sum) {
  const made = rows.map((one) => el("tr", {}, el("td", { textContent: one.text }), el("td", { textContent: credits(one.amount) })));
  if (sum) made.push(el("tr", { className: "sum" }, el("td", { textContent: sum.text }), el("td", { textContent: credits(sum.amount) })));
  table.replaceChildren(...made);
}
function drawQuote() {
  const quote = job.quote;
  $("quote").hidden = !quote || Boolean(job.settlement);
  if (!quote) return;
  $("quote-version").textContent = quote.version > 1 ? `version ${quote.version}` : "";
  $("quote-price").textContent = credits(quote.price);
  lines($("quote-lines"), quote.lines);
  const { low, expected, high } = quote.seconds;
  $("quote-time").textContent = `About ${duration(expected)} (${duration(low)} to ${duration(high)}) · ${quote.work.expected.toFixed(0)} WU`;
  if (quote.outlook) {
    const words = { feasible: "can be kept", tight: "is tight", impossible: "cannot be kept" };
    const earliest = new Date(quote.outlook.earliest).toLocaleString();
    $("quote-time").textContent += ` · The deadline ${words[quote.outlook.feasibility]}: begun without delay, done at ${earliest} at the earliest`;
    if (quote.outlook.right_of_way === false) $("quote-time").textContent += ". It came after you accepted the price, so it orders only your own jobs";
  }
  if (quote.left_frames !== null && quote.left_frames !== undefined) {
    $("quote-time").textContent += ` · ${quote.reason}. The ${quote.left_frames} frames left: ${credits(quote.left_price)} credits instead of ${credits(quote.left_before)}`;
  }
  document.querySelector("#quote .actions").hidden = !quote.open;
  $("quote-answer").textContent = standing(quote);
}
function standing(quote) {
  // One that was accepted waits for an answer again when the money was refused.
  if (quote.open) return `${quote.answer === "accepted" ? "Its price could not be held: accept it again. " : ""}Open until ${new Date(quote.expires_at).toLocaleString()}.`;
  if (quote.answer !== "none") return `You have ${quote.answer} it.`;
  if (!job.ended && !quote.within_max_cost) return `Above your limit of ${credits(job.max_cost)} credits.`;
  return "It is over.";
}
function underWay(agent, frame) {
  const far = (agent.under_way || []).find((one) => one.frame === frame);
  const done = far && far.samples ? ` · ${Math.min(100, Math.round((100 * (far.sample || 0)) / far.samples))} %` : "";
  return `${frame}${done}${far && far.seconds >= 1 ? ` · ${duration(far.seconds)}` : ""}`;
}
function drawAgents() {
  $("agents").hidden = !job.agents.length;
  const head = el("tr", {}, ...["agent", "frame", "done", "WU/min", "earned"].map((text) => el("th", { textContent: text })));
  $("agent-lines").replaceChildren(head, ...job.agents.map((one) => {
    const swatch = el("i", { className: "swatch" });
    swatch.style.background = colour(one.agent);
    const name = el("td", { title: one.agent }, swatch, one.agent.length > 14 ? `${one.agent.slice(0, 13)}…` : one.agent);
    const now = one.rendering.slice(0, 3).map((frame) => underWay(one, frame)).join(", ") || "–";
    const rest = [now, one.stored, one.wu_per_minute.toFixed(1), credits(one.earned)];
    return el("tr", {}, name, ...rest.map((text) => el("td", { textContent: text })));
  }));
}
function drawFindings() {
  $("findings").hidden = !job.findings.length;
  $("verdict").textContent = job.support ? `The file is ${job.support}.` : "";
  const other = job.replaced_by && el("a", { href: `/jobs/${encodeURIComponent(job.replaced_by)}`, textContent: job.replaced_by });
  $("replaced").replaceChildren(...(other ? ["Submitted again, with changes, as ", other] : []));
  $("finding-lines").replaceChildren(...job.findings.map((one) =>
    el("li", { className: one.severity }, one.text, el("small", { textContent: one.fix }), ...offer(one))));
}
function offer(finding) {
  if (!finding.change || job.replaced_by || job.held !== "0") return [];
  const button = el("button", { textContent: WORDS[finding.change] || finding.change });
  button.addEventListener("click", () => change(button, finding.change));
  return [button];
}
async function change(button, wanted) {
  // Without what the errors need the next job would end as this one did.
  const needed = job.findings.filter((one) => one.change && one.severity === "error").map((one) => one.change);
  button.disabled = true;
  try {
    const { path } = await post("/changes", { changes: [...new Set([...needed, wanted])] });
    window.location.href = path;
  } catch (problem) {
    notice(problem.message, true);
    button.disabled = false;
  }
}
function drawFiles() {
  $("downloads").hidden = !job.files.length;
  $("files").replaceChildren(...job.files.map((file) => {
    const button = el("button", {}, file.name, el("small", { textContent: size(file.bytes) }));
    button.addEventListener("click", () => fetchFile(file.name));
    return button;
  }));
  $("until").textContent = job.files_until ? `Kept until ${new Date(job.files_until).toLocaleString()}.` : "";
}
function drawBill() {
  $("bill").hidden = !job.settlement;
  if (!job.settlement) return;
  const back = { text: "Back to your balance", amount: job.settlement.released };
  lines($("bill-lines"), [...job.settlement.lines], { text: "Charged", amount: job.settlement.charged });
  $("bill-lines").append(el("tr", {}, el("td", { textContent: back.text }), el("td", { textContent: credits(back.amount) })));
}
function drawNotice() {
  if (job.failure) notice(`${job.failure.reason} ${job.failure.hint}`.trim(), true);
  else if (job.refusal) notice(job.refusal.text, true);
  else if (job.notice) notice(job.notice);
  else if ($("notice").dataset.from === "job") $("notice").hidden = true;
  if (job.failure || job.refusal || job.notice) $("notice").dataset.from = "job";
}
function notice(text, bad = false) {
  Object.assign($("notice"), { textContent: text, hidden: false, className: bad ? "notice bad" : "notice" });
  $("notice").dataset.from = "page";
}

function tell(line) {
  if (line.kind === "frames.stored" && line.data.agent) {
    colour(line.data.agent);
    for (const frame of numbers(line.data.frames)) byAgent.set(frame, line.data.agent);
    paint();
  }
  const time = el("time", { textContent: new Date(line.at).toLocaleTimeString([], { hour12: false }), dateTime: line.at });
  $("story").prepend(el("li", {}, time, el("span", { textContent: line.text })));
  while ($("story").children.length > 300) $("story").lastChild.remove();
}
function place(bucket) {
  for (const frame of [...status.keys()]) if (frame >= bucket.first && frame <= bucket.last) status.delete(frame);
  for (const frame of numbers(bucket.arriving)) status.set(frame, "arriving");
  for (const frame of numbers(bucket.stored)) status.set(frame, "stored");
  paint();
}

async function post(path, body, key = freshKey()) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  const answer = await fetch(`${API}${path}`, { method: "POST", headers, body: body ? JSON.stringify(body) : null });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail || told.title);
  return told;
}
async function act(button, path, body) {
  button.disabled = true;
  try {
    await post(path, body);
  } catch (problem) {
    notice(problem.message, true);
  }
  button.disabled = false;
}
async function fetchFile(name) {
  try {
    const { downloads } = await post("/downloads", { names: [name] });
    if (downloads.length) window.location.href = downloads[0].url;
  } catch (problem) {
    notice(problem.message, true);
  }
}
async function openFrame(frame) {
  const paid = job.held !== "0";
  await fetchFile(`${paid ? "frames" : "thumbnails"}/${frame}`);
}

function flip() {
  const canvas = $("flipbook"), pen = canvas.getContext("2d");
  let at = 0;
  const turn = () => {
    const shown = frames.filter((frame) => cells.get(frame)?.querySelector("img.shown"));
    if (shown.length >= 2 && span === 1) {
      $("flip").hidden = false;
      const frame = shown[at++ % shown.length], img = cells.get(frame).querySelector("img");
      if (canvas.width !== img.naturalWidth) Object.assign(canvas, { width: img.naturalWidth, height: img.naturalHeight });
      pen.drawImage(img, 0, 0, canvas.width, canvas.height);
      $("flipcap").textContent = `frame ${frame}`;
    }
    setTimeout(turn, 1000 / Math.min(job?.fps || 24, 24));
  };
  turn();
}

$("accept").addEventListener("click", () => act($("accept"), "/quote/accept", { version: job.quote.version }));
$("decline").addEventListener("click", () => act($("decline"), "/quote/decline", { version: job.quote.version }));
$("pause").addEventListener("click", () => act($("pause"), "/pause"));
$("resume").addEventListener("click", () => act($("resume"), "/resume"));
$("cancel").addEventListener("click", () => {
  if (window.confirm("Stop this job for good? Finished frames stay paid and yours.")) act($("cancel"), "/cancel");
});
const stream = new EventSource(`${API}/events`);
stream.addEventListener("open", () => $("link").classList.add("on"));
stream.addEventListener("error", () => {
  $("link").classList.remove("on");
  if (stream.readyState === EventSource.CLOSED) notice("This page has been open for too long. Ask for a new link: framelend watch JOB --link");
});
stream.addEventListener("job", (event) => { job = JSON.parse(event.data); layGrid(); drawJob(); paint(); });
stream.addEventListener("frames", (event) => place(JSON.parse(event.data)));
stream.addEventListener("timeline", (event) => tell(JSON.parse(event.data)));
flip();
