#!/bin/sh
# Takes out of an unpacked bpy what a render never reads (USD and MaterialX bindings, add-ons, studio lights; for the CPU also
# the GPU kernels), then the symbols. Kept on purpose: the CJK font (text scenes) and the oneAPI libraries (bpy links to them).
# Compiles all Python last: the container cannot write, so what is not compiled here is compiled anew at every start (0.9 s).
set -eu
site=$1
device=$2
blender=$site/bpy/5.0
packages=$blender/python/lib/python3.11/site-packages
rm -rf "$blender/scripts/addons_core/cycles/source"
rm -f "$site"/bpy/lib/libOpenImageDenoise_device_hip* "$site"/bpy/lib/libOpenImageDenoise_device_sycl*
if [ "$device" = cpu ]; then
  rm -rf "$blender"/scripts/addons_core/cycles/lib/*
  rm -f "$site"/bpy/lib/libOpenImageDenoise_device_cuda*
fi
rm -rf "$packages/pxr" "$packages/MaterialX" "$packages/oslquery"
rm -rf "$blender/datafiles/assets" "$blender/datafiles/studiolights"
find "$blender/scripts/addons_core" -mindepth 1 -maxdepth 1 ! -name cycles ! -name bl_pkg -exec rm -rf {} +
find "$site/numpy" -type d -name tests -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.so' -o -name '*.so.*' \) -exec strip --strip-unneeded {} +
# Never compared with its source: nobody can change either. Templates for people that are no valid Python may fail.
python3 -m compileall -q --invalidation-mode unchecked-hash "$site" > /dev/null || true
test -n "$(find "$blender/scripts/startup/bl_ui" -name '*.pyc')"
