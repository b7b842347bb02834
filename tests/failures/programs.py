"""Programs that run in the container in the driver's place: our driver with one thing gone wrong around it."""

_HEAD = """
import ctypes, os, resource, subprocess, sys, time
sys.path.insert(0, "/opt/framelend")
import driver
render = driver._render
"""
_TAIL = "\nsys.exit(driver.main([]))\n"


def _at_the_frame(what: str) -> str:
    """`what` happens in place of rendering; `go()` renders."""
    body = "\n".join(f"    {line}" for line in what.strip().splitlines())
    begin = "def instead(*given):\n    go = lambda: render(*given)\n    frame = given[2]\n"
    return f"{_HEAD}{begin}{body}\ndriver._render = instead{_TAIL}"


SEGFAULT_AT_2 = _at_the_frame("""
if frame == 2:
    ctypes.string_at(0)
return go()
""")
ABORT = _at_the_frame("os.abort()")
RAISE = _at_the_frame("return {}['not there']")
HANG = _at_the_frame("time.sleep(3600)")
WAIT = _at_the_frame("""
while True:
    for tell in given[0].app.handlers.render_stats:
        tell("Sample 1/48")
    time.sleep(1)
""")
FILL_OUTPUT = _at_the_frame("""
try:
    with open("/out/extra.bin", "wb") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()
except OSError:
    pass
return go()
""")
GROW = _at_the_frame("""
time.sleep(3)
grown = b'grown' * (140 << 20)
return go()
""")
SMALL_FILES = f"{_HEAD}resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)){_TAIL}"
FEW_ADDRESSES = f"{_HEAD}resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)){_TAIL}"
NO_BLENDER = f"import sys\nsys.path.remove('/opt/bpy')\n{_HEAD}{_TAIL}"
NO_PROCESSES = f"""
import subprocess
sleepers = []
try:
    while True:
        sleepers.append(subprocess.Popen(["sleep", "600"]))
except OSError:
    for one in sleepers[:3]:
        one.kill()
        one.wait()
{_HEAD}{_TAIL}"""
NONSENSE_TASK = f"""{_HEAD}
sys.exit(driver.main(['{{"blend": "/in/bundle/scene.blend", "frames": [1], "scale_percent": 0}}']))
"""
NEVER_EXITS = f"{_HEAD}\ndriver.main([])\ntime.sleep(3600)\n"
NO_LOOK = f"""{_HEAD}
class Nothing:
    def check_frame(self, frame):
        pass
driver._needs = lambda *_: Nothing()
{_TAIL}"""
NONSENSE = "print('how do you do?')"
