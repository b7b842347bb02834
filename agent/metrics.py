"""What the agent counts. No label holds an id: series must not grow with jobs."""

from prometheus_client import Counter, Gauge, Histogram

from contracts.values import Kind

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
_FAST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

FRAMES = Counter("framelend_agent_frames_rendered", "Frames whose picture was taken and decodes", ["kind"])
FRAME_SECONDS = Histogram("framelend_agent_frame_seconds", "Wall time of a frame", buckets=_SECONDS)
FRAME_CPU_SECONDS = Histogram("framelend_agent_frame_cpu_seconds", "CPU time of a frame", buckets=_SECONDS)
CHECK_SECONDS = Histogram("framelend_agent_check_seconds", "Taking and decoding one picture", buckets=_FAST)
UPLOAD_SECONDS = Histogram("framelend_agent_upload_seconds", "One upload that succeeded", buckets=_FAST)
UPLOADS = Counter("framelend_agent_uploads", "Uploads by outcome", ["outcome"])
BUNDLES = Counter("framelend_agent_bundles", "Bundles needed, by where they came from", ["source"])
CONTAINER_START_SECONDS = Histogram(
    "framelend_agent_container_start_seconds", "From creating a container to the scene being open", buckets=_FAST
)
ATTEMPTS = Counter("framelend_agent_attempts", "Attempts by kind and how they ended", ["kind", "outcome"])
REFUSALS = Counter("framelend_agent_refusals", "Assignments refused or passed over", ["how"])
IN_HAND = Gauge("framelend_agent_attempts_in_hand", "Attempts that occupy a slot")
OUTBOX = Gauge("framelend_agent_outbox_depth", "Events that wait for the broker's confirm")
READY = Gauge("framelend_agent_ready", "1 when work can be taken")
LENDING = Gauge("framelend_agent_lending", "1 while the owner's rules let the machine be lent")
LENDING.set(1)
CPUS = Gauge("framelend_agent_cpus", "CPUs lent")
RENDER_CORES = Gauge("framelend_agent_render_cores", "CPU use of all containers, in whole cores")
RENDER_MEMORY = Gauge("framelend_agent_render_memory_bytes", "Memory of all containers, without what the kernel could take back")
RENDER_PEAK = Gauge("framelend_agent_render_memory_peak_bytes", "Most memory of one of the containers that run")
DISK = Counter("framelend_agent_render_disk_bytes", "What containers moved from and to disks", ["way"])
NETWORK = Counter("framelend_agent_network_bytes", "Bundles and frames moved", ["way"])
GPU_BUSY = Gauge("framelend_agent_gpu_utilisation_ratio", "How busy a GPU is, 0 to 1, by its number", ["gpu"])
GPU_MEMORY = Gauge("framelend_agent_gpu_memory_bytes", "Memory in use of a GPU", ["gpu"])
GPU_CELSIUS = Gauge("framelend_agent_gpu_celsius", "Temperature of a GPU", ["gpu"])

# What may happen is counted from 0 on, so that the first time is seen as a step.
for _kind in Kind:
    FRAMES.labels(_kind)
for _outcome in ("stored", "failed"):
    UPLOADS.labels(_outcome)
for _way in ("read", "written"):
    DISK.labels(_way)
for _way in ("received", "sent"):
    NETWORK.labels(_way)
