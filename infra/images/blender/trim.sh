#!/bin/sh
# Takes out of an unpacked bpy what a CPU render never reads (GPU kernels, USD and MaterialX bindings, add-ons, studio
# lights), then the symbols. Kept on purpose: the CJK font (text scenes) and the oneAPI libraries (bpy links to them).
set -eu
site=$1
blender=$site/bpy/5.0
packages=$blender/python/lib/python3.11/site-packages
rm -rf "$blender"/scripts/addons_core/cycles/lib/* "$blender/scripts/addons_core/cycles/source"
rm -f "$site"/bpy/lib/libOpenImageDenoise_device_hip* "$site"/bpy/lib/libOpenImageDenoise_device_cuda* \
      "$site"/bpy/lib/libOpenImageDenoise_device_sycl*
rm -rf "$packages/pxr" "$packages/MaterialX" "$packages/oslquery"
rm -rf "$blender/datafiles/assets" "$blender/datafiles/studiolights"
find "$blender/scripts/addons_core" -mindepth 1 -maxdepth 1 ! -name cycles ! -name bl_pkg -exec rm -rf {} +
find "$site/numpy" -type d -name tests -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.so' -o -name '*.so.*' \) -exec strip --strip-unneeded {} + 
