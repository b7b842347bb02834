"""What the farm offers to change so that a file can be rendered, or renders what its owner most likely means.

The .blend stays as it is: a change is a word in the job's settings, and the render driver applies it to the opened scene.
"""

from enum import StrEnum


class Change(StrEnum):
    RENDER_WITH_CYCLES = "render-with-cycles"
    """Instead of an engine that needs a graphics card or an add-on."""
    PICTURES_INSTEAD_OF_VIDEO = "pictures-instead-of-video"
    """One picture per frame; the farm makes the film from them."""
    FULL_RESOLUTION = "full-resolution"
    """At 100 %, whatever the file's percentage."""
    WHOLE_PICTURE = "whole-picture"
    """Without the file's render region."""
    ONE_VIEW = "one-view"
    """Without stereoscopy."""
    FIRST_CAMERA = "first-camera"
    """Through the scene's first camera, where none is active."""
    WITHOUT_SEQUENCER = "without-sequencer"
    """The scene itself instead of the strips of its video sequencer."""
    WITHOUT_FILE_OUTPUTS = "without-file-outputs"
    """Without what the compositor's File Output nodes would write beside the picture."""
    STEP_SIMULATIONS = "step-simulations"
    """Every machine runs the simulations from their first frame on before it renders its own."""


class Support(StrEnum):
    """The verdict on a file as a whole."""

    SUPPORTED = "supported"
    WITH_CHANGES = "supported with changes"
    """Each change is offered by a finding. Those of errors must be made, those of warnings are for the renter to choose."""
    UNSUPPORTED = "not supported"
