"""What the scene's own settings say: camera, range, size, sampling, output."""

from __future__ import annotations

from typing import Any

from survey_files import renders_strips


def scene_facts(scene: Any) -> dict[str, Any]:
    """Everything a job's form can show or change, read and not judged."""
    return {
        "name": scene.name,
        "engine": scene.render.engine,
        **_cameras(scene),
        **_time(scene),
        **_size(scene.render),
        **_sampling(scene),
        **_output(scene),
        "view_layers": sum(1 for layer in scene.view_layers if layer.use),
        "objects": len(scene.objects),
    }


def _cameras(scene: Any) -> dict[str, Any]:
    markers = [marker for marker in scene.timeline_markers if marker.camera]
    return {
        "cameras": [thing.name for thing in scene.objects if thing.type == "CAMERA"],
        "camera": scene.camera.name if scene.camera else None,
        "has_camera": scene.camera is not None or bool(markers),
        "marker_cameras": [{"frame": marker.frame, "camera": marker.camera.name} for marker in markers],
    }


def _time(scene: Any) -> dict[str, Any]:
    return {
        "frame_start": scene.frame_start,
        "frame_end": scene.frame_end,
        "frame_step": scene.frame_step,
        "fps": scene.render.fps,
        "fps_base": float(scene.render.fps_base),
    }


def _size(render: Any) -> dict[str, Any]:
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if render.use_border and render.use_crop_to_border:
        width = int(render.border_max_x * width) - int(render.border_min_x * width)
        height = int(render.border_max_y * height) - int(render.border_min_y * height)
    return {
        "width": render.resolution_x,
        "height": render.resolution_y,
        "percentage": render.resolution_percentage,
        "border": render.use_border,
        "crop": render.use_border and render.use_crop_to_border,
        "picture_width": max(1, width),
        "picture_height": max(1, height),
    }


def _sampling(scene: Any) -> dict[str, Any]:
    cycles = scene.cycles
    return {
        "samples": cycles.samples,
        "adaptive": cycles.use_adaptive_sampling,
        "adaptive_threshold": float(cycles.adaptive_threshold),
        "denoise": cycles.use_denoising,
        "denoiser": str(cycles.denoiser) or "unknown",
        "device": cycles.device,
        "motion_blur": scene.render.use_motion_blur,
        "film_transparent": scene.render.film_transparent,
        "persistent_data": scene.render.use_persistent_data,
    }


def _output(scene: Any) -> dict[str, Any]:
    image = scene.render.image_settings
    return {
        "file_format": image.file_format,
        "color_mode": image.color_mode,
        "color_depth": image.color_depth,
        "is_movie": scene.render.is_movie_format,
        "multiview": scene.render.use_multiview,
        "sequencer": renders_strips(scene),
        "compositor": bool(scene.render.use_compositing and scene.compositing_node_group),
    }
