"""Learner: network, average, optimiser and loss of a run, and what one step does to them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from willis.errors import BadInputError, WillisError
from willis.learn.average import MovingAverage
from willis.learn.batches import Batch
from willis.learn.checkpoint import optimiser_tensors, restore_optimiser, with_prefix, without_prefix
from willis.learn.constraint import Constraint
from willis.learn.distributed import World
from willis.learn.losses import Loss
from willis.learn.recipe import OptimiserSettings, Recipe
from willis.learn.schedule import rate_factor
from willis.learn.stages import freeze, set_training, stages_of, steps_of_stages
from willis.nets.blocks.planar import in_fast_layout
from willis.nets.registry import build_network, misfit

STEP_SEED_STRIDE = 1_000_003  # a prime: seeds of different runs' steps don't meet within a million steps


def pick_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    BadInputError
        When CUDA is asked for and absent.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInputError("training.device is 'cuda' and there is no CUDA device; use 'auto' or 'cpu'.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def make_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and normalisation (all that isn't a kernel) are not decayed."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=settings.rate, betas=settings.betas, foreach=True)
    nesterov = settings.nesterov and settings.momentum > 0
    return torch.optim.SGD(groups, lr=settings.rate, momentum=settings.momentum, nesterov=nesterov, foreach=True)


def middle_of_stacks(image: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches as a 2.5D network takes them: (N, C, K, I, J), and target and mask of the middle one of K slices.

    Parameters
    ----------
    image, target, mask
        (N, C, I, J, K), (N, L, I, J, K), (N, 1, I, J, K) with an odd K.
    """
    middle = slice(image.shape[4] // 2, image.shape[4] // 2 + 1)
    return image.permute(0, 1, 4, 2, 3).contiguous(), target[..., middle], mask[..., middle]


def label_of_scans(target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and masks of whole scans, for a network with one answer for each: (N, L, 1, 1, 1) and (N, 1, 1, 1, 1).

    Parameters
    ----------
    target, mask
        (N, L, I, J, K), of which a label holds where any voxel has it, and (N, 1, I, J, K).
    """
    return target.amax(dim=(2, 3, 4), keepdim=True), torch.ones_like(mask[:, :, :1, :1, :1])


class Learner:
    """All that a step changes.

    Parameters
    ----------
    recipe
        What to build and how to train it.
    world
        The processes that train together.
    start
        Weights to start from (fine-tuning); random ones by the recipe's seed when None.

    Raises
    ------
    BadInputError
        When CUDA is asked for and absent, or the weights to start from are another network's.
    """

    def __init__(self, recipe: Recipe, world: World, start: Mapping[str, Tensor] | None = None) -> None:
        self.recipe = recipe
        self.world = world
        self.device = pick_device(recipe.training.device)
        torch.manual_seed(recipe.training.seed)
        network = build_network(recipe.network.name, recipe.network.config)
        if start is not None:
            if reason := misfit(network, start):
                raise BadInputError(
                    f"the weights to start from are not of the recipe's network {recipe.network.name}: {reason}. Give "
                    "a bundle of the same [network], or none."
                )
            network.load_state_dict(dict(start))
        self.network = in_fast_layout(network.to(self.device))
        world.join_norms(self.network)
        decay = recipe.training.ema
        self._average = MovingAverage(self.network, decay) if decay > 0 else None
        self.stages, self._lengths = stages_of(recipe), steps_of_stages(recipe)
        for stage in self.stages:
            freeze(self.network, stage.frozen)
        self.enter(0, 0)
        self._constraint = Constraint(self.network, recipe.optimiser)
        self.loss = Loss(recipe.loss, world.reduce if world.size > 1 else None)

    def enter(self, stage: int, began: int, start: Mapping[str, Tensor] | None = None) -> None:
        """Begin a stage: freeze what it says, with a new optimiser, from other weights where they are given.

        Parameters
        ----------
        stage
            Its number, from 0.
        began
            Steps that were done when it began.
        start
            Weights that the network and its moving average take.
        """
        self.stage, self._began = self.stages[stage], began
        self.stage_steps = self._lengths[stage]
        if start is not None:
            self.network.load_state_dict(dict(start))
            if self._average is not None:
                self._average.network.load_state_dict(dict(start))
        self._still = freeze(self.network, self.stage.frozen)
        self.optimiser = make_optimiser(self.network, self.recipe.optimiser)
        self.plateau_factor = 1.0

    @property
    def result(self) -> nn.Module:
        """The network whose weights count: the moving average, or the network itself."""
        return self._average.network if self._average is not None else self.network

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One optimiser step; gives loss, its terms, gradient norm and learning rate."""
        training = self.recipe.training
        torch.manual_seed(training.seed + STEP_SEED_STRIDE * (step * self.world.size + self.world.rank + 1))
        rate = self.stage.rate * self.plateau_factor
        rate *= rate_factor(self.recipe.schedule, step - self._began, self.stage_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        set_training(self.network, self._still)
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for part in range(training.accumulate):
            for name, value in self._backward(batch.part(part, training.accumulate)).items():
                sums[name] = sums.get(name, 0.0) + value / training.accumulate
        self.world.average_gradients(self.network)
        self._constraint.penalise()
        if training.clip_value:
            torch.nn.utils.clip_grad_value_(self.network.parameters(), training.clip_value)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), training.clip or float("inf"))
        self._check_finite(sums["loss"], float(norm), step)
        self.optimiser.step()
        self._constraint.project()
        if self._average is not None:
            self._average.update(self.network, step)
        return {**self.world.mean(sums), "gradient": float(norm), "rate": rate}

    @torch.no_grad()
    def refresh(self, batch: Batch) -> None:
        """Let batch-norm statistics of the network that counts follow its weights by a batch; nothing is learned."""
        self._forward(set_training(self.result, self._still), batch)

    def _forward(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, target and mask, all (N, …, I, J, K)."""
        image = batch.image.to(self.device, memory_format=torch.channels_last_3d, non_blocking=True)
        target, mask = batch.target.to(self.device), batch.mask.to(self.device)
        half = self.recipe.training.precision == "bfloat16"
        stacks = bool(getattr(network, "takes_stacks", False))
        if stacks:
            image, target, mask = middle_of_stacks(image, target, mask)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half):
            logits = network(image).unsqueeze(4) if stacks else network(image)
        return logits, target, mask

    def _backward(self, batch: Batch) -> dict[str, float]:
        logits, target, mask = self._forward(self.network, batch)
        if bool(getattr(self.network, "one_answer", False)):
            logits = logits[:, :, None, None, None]
            target, mask = label_of_scans(target, mask)
        loss, terms = self.loss(logits, target, mask)
        torch.autograd.backward(loss / self.recipe.training.accumulate)
        return {"loss": float(loss.detach()), **terms}

    def _check_finite(self, loss: float, norm: float, step: int) -> None:
        total = loss + norm
        if total != total or total in (float("inf"), float("-inf")):
            raise WillisError(
                f"the loss is {loss} and the gradient's norm {norm} at step {step + 1}; training can't go on. "
                "Lower optimiser.rate, or set training.precision to 'float32'."
            )

    def tensors(self) -> dict[str, Tensor]:
        """Weights, average and optimiser state, for a checkpoint."""
        tensors = with_prefix("network", self.network.state_dict())
        if self._average is not None:
            tensors |= with_prefix("average", self._average.network.state_dict())
        return tensors | with_prefix("optimiser", optimiser_tensors(self.optimiser))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`tensors` gave.

        Raises
        ------
        BadInputError
            When they are of another network or optimiser.
        """
        try:
            self.network.load_state_dict(without_prefix("network", tensors))
            if self._average is not None:
                self._average.network.load_state_dict(without_prefix("average", tensors))
            restore_optimiser(self.optimiser, without_prefix("optimiser", tensors))
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise BadInputError(
                f"the checkpoint is of another network or optimiser than the recipe's: {reason}"
            ) from None

    def weights(self) -> dict[str, Tensor]:
        """Weights that count, as a bundle wants them."""
        return {name: tensor.detach().float().cpu() for name, tensor in self.result.state_dict().items()}
