"""One service of a world, at most one process of it at a time; the one with the settings asked for is kept between tests."""

from tests.integration.world import Process, World


class OneService:
    def __init__(self, world: World, name: str, **usual: str) -> None:
        self._world, self._name, self._usual = world, name, usual
        self._process: Process | None = None
        self._settings: dict[str, str] = {}

    async def running(self, **settings: str) -> Process:
        """The usual settings and these."""
        if self._process is None or self._process.ended() or settings != self._settings:
            self.stop()
            self._process, self._settings = await self._world.start(self._name, **{**self._usual, **settings}), settings
        return self._process

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
