"""Sources of made-up cases in a module of its own, so that worker processes can import it."""

from dataclasses import dataclass, replace

import numpy as np

from willis.learn.case import Case


def numbered(index: int, shape: tuple[int, int, int] = (4, 5, 6)) -> Case:
    image = np.full((2, *shape), index, np.float32)
    target = np.zeros((2, *shape), np.uint8)
    target[0, 1, 2, 3] = 1
    return Case(image, target, np.ones(shape, bool), f"{index}", (1.0, 2.0, 3.0))


@dataclass(frozen=True)
class Endless:
    fails_at: int = -1

    def case(self, index: int) -> Case:
        if index == self.fails_at:
            raise ValueError("no such head")
        return numbered(index)


@dataclass(frozen=True)
class Dies:
    def case(self, index: int) -> Case:
        raise SystemExit(3)


@dataclass(frozen=True)
class Planned:
    """Cases in batches of ``batch`` that go through all of them, backwards."""

    count: int = 12
    batch: int | None = 4

    def __len__(self) -> int:
        return self.count

    def case(self, index: int) -> Case:
        return numbered(index)

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        return (-step * (self.batch or 4) - number - 1) % self.count, (2, 2, 3)


@dataclass(frozen=True)
class Balls:
    """Bright balls in noise, endless."""

    side: int = 16

    def case(self, index: int) -> Case:
        rng = np.random.default_rng(index)
        centre = rng.integers(4, self.side - 4, 3)
        away = np.stack(np.meshgrid(*[np.arange(self.side)] * 3, indexing="ij"), -1) - centre
        ball = (away**2).sum(-1) <= 9
        image = rng.normal(0.5, 0.05, (1, *ball.shape)) + 0.4 * ball
        everywhere = np.ones(ball.shape, bool)
        return Case(image.astype(np.float32), ball[None].astype(np.uint8), everywhere, f"{index:03d}", (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class NamedBalls(Balls):
    """A ball of each name, or one that nobody labelled."""

    names: tuple[str, ...] = ("sub-1", "sub-2", "sub-3")
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.names)

    def case(self, index: int) -> Case:
        made = super().case(index)
        return made if self.labelled else replace(made, target=np.zeros_like(made.target))


@dataclass(frozen=True)
class PlannedBalls(Balls):
    """Nine of them, each patch of a batch from another one."""

    batch: int | None = None

    def __len__(self) -> int:
        return 9

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        return (4 * step + number) % 9, (8, 8, 8)
