"""Checks of a scene's own settings: what the farm cannot render, renders otherwise than the file says, or does not run."""

from contracts.changes import Change
from contracts.values import Finding
from services.scheduler.domain.looking import SHOWN, Case, error, info, some, warning

BLENDERS_OWN = {
    "BLENDER_EEVEE": "EEVEE", "BLENDER_EEVEE_NEXT": "EEVEE", "BLENDER_WORKBENCH": "Workbench", "CYCLES": "Cycles",
}  # fmt: skip
STEPPABLE = frozenset({"CLOTH", "SIMULATION_NODES"})
"""Come out the same on every machine that runs them from their first frame on. Rigid bodies do not always; others are untried."""


def engine(case: Case) -> list[Finding]:
    name = case.facts.engine
    if name == "CYCLES" or case.made(Change.RENDER_WITH_CYCLES):
        return []
    shown = BLENDERS_OWN.get(name, name)
    why = "this farm does not render" if name in BLENDERS_OWN else "comes with an add-on, and add-ons do not run on the farm"
    fix = f"Render with Cycles instead ({case.facts.samples:,} samples, as its settings in the file say): look at a frame first."
    return [error("engine", f"The file renders with {shown}, which {why}.", fix, Change.RENDER_WITH_CYCLES)]


def cameras(case: Case) -> list[Finding]:
    facts, camera = case.facts, case.settings.camera
    if camera is not None and camera not in facts.cameras:
        known = ", ".join(facts.cameras[:SHOWN]) or "none"
        return [error("camera", f"There is no camera “{camera}”.", f"Cameras in the file: {known}.")]
    if facts.has_camera or camera is not None or (facts.cameras and case.made(Change.FIRST_CAMERA)):
        return []
    if not facts.cameras:
        return [error("no_camera", "The scene has no camera and no active camera.", "Add one, make it the active one, and save.")]
    fix = f"Make a camera the active one and save, or render through “{facts.cameras[0][:100]}”."
    return [error("no_camera", "The scene has no active camera.", fix, Change.FIRST_CAMERA)]


def scenes(case: Case) -> list[Finding]:
    wanted, known = case.settings.scene, case.facts.scenes
    if wanted is None or wanted in known:
        return []
    return [error("scene", f"There is no scene “{wanted}”.", f"Scenes in the file: {', '.join(known[:SHOWN]) or 'none'}.")]


def version(case: Case) -> list[Finding]:
    if not case.facts.newer_than_renderer:
        return []
    text = f"The file was saved by Blender {case.facts.blender_version}, which is newer than the farm's; it would lose data."
    return [error("newer_blender", text, "Save it with Blender 5.0.")]


def shape(case: Case) -> list[Finding]:
    """What would give other pictures than one whole picture per frame, which is what storage verifies."""
    found = []
    if case.facts.cropped and not case.made(Change.WHOLE_PICTURE):
        text = "The file crops its pictures to a render region, which the farm does not offer."
        fix = "Render the whole picture (in Blender: Output Properties → Format → Render Region off)."
        found.append(error("cropped", text, fix, Change.WHOLE_PICTURE))
    if case.facts.multiview and not case.made(Change.ONE_VIEW):
        text = "The file renders several views per frame, which the farm does not offer."
        fix = "Render one view (in Blender: Output Properties → Stereoscopy off)."
        found.append(error("multiview", text, fix, Change.ONE_VIEW))
    return found


def output(case: Case) -> list[Finding]:
    """What the file would write, and the farm does not bring home."""
    found = []
    if case.facts.is_movie and not case.made(Change.PICTURES_INSTEAD_OF_VIDEO):
        text = "The file writes a video; the farm writes one picture per frame and makes a film from them."
        fix = "Agree to pictures; only the video's own settings (codec, sound) are lost."
        found.append(warning("movie_output", text, fix, Change.PICTURES_INSTEAD_OF_VIDEO))
    if case.facts.file_outputs and not case.made(Change.WITHOUT_FILE_OUTPUTS):
        text = f"The compositor writes files of its own, which are lost on the farm: {some(case.facts.file_outputs)}."
        fix = "Leave them out, or lead what you need into the picture itself."
        found.append(warning("file_outputs", text, fix, Change.WITHOUT_FILE_OUTPUTS))
    if case.facts.sequencer and not case.made(Change.WITHOUT_SEQUENCER):
        text = "The file renders the strips of its video sequencer instead of the scene."
        fix = "If you mean the scene: render without the sequencer (in Blender: Output Properties → Post Processing)."
        found.append(warning("sequencer", text, fix, Change.WITHOUT_SEQUENCER))
    return found


def code(case: Case) -> list[Finding]:
    """Scripts and add-ons: none of them runs."""
    found = []
    if case.facts.scripts:
        text = f"The file has scripts or Python drivers, which never run on the farm: {some(case.facts.scripts)}."
        found.append(warning("scripts", text, "If the picture depends on them, bake their result before you submit."))
    if case.facts.addons:
        text = f"The picture needs add-ons, which do not run on the farm: {some(case.facts.addons)}."
        found.append(error("addon_nodes", text, "Replace these nodes by Blender's own, or bake what they make into pictures."))
    if case.facts.addon_data:
        text = f"Add-ons have left settings in the file: {some(case.facts.addon_data)}. They do not run on the farm."
        fix = "Nothing to do, unless one of them makes what you see: then apply or bake its result."
        found.append(info("addon_settings", text, fix))
    return found


def simulations(case: Case, last_frame: int | None) -> list[Finding]:
    """`last_frame`: of those to render. Without a bake every machine would begin to simulate at its own first frame."""
    facts = case.facts
    if not facts.simulations or case.made(Change.STEP_SIMULATIONS):
        return []
    names = some(facts.simulations)
    if facts.simulated_from is not None and last_frame is not None and last_frame <= facts.simulated_from:
        return [info("simulations_not_begun", f"Simulations have not begun yet in these frames: {names}.")]
    text = f"Simulations have no bake, so that each machine would see something else: {names}."
    bake = "Bake them and submit the file with its caches"
    if {one.partition(" on ")[0] for one in facts.simulations} <= STEPPABLE:
        fix = f"{bake}, or let every machine run them from their first frame on (costs time in each chunk)."
        return [error("simulations", text, fix, Change.STEP_SIMULATIONS)]
    return [error("simulations", text, f"{bake}.")]


def cards(case: Case) -> list[Finding]:
    """What only a graphics card has, and what is done without one."""
    found = []
    if case.facts.denoise and case.facts.denoiser == "unknown":
        text = "The file's denoiser needs a graphics card; the farm denoises with OpenImageDenoise instead."
        found.append(info("denoiser", text, "Look at the sampled frames; the difference is small."))
    if case.facts.device == "GPU" and not case.settings.gpu:
        text = "The file is set to render on a graphics card; the farm renders it on processors, with the same picture."
        found.append(info("gpu_device", text, "Nothing to do. With --gpu also agents with a graphics card may take frames."))
    return found
