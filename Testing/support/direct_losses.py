"""The losses written as the equations read, at full resolution: slow, plain, and the judge of the engine's own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from alhvr.config import MethodConfig
from alhvr.methods.alhvr import DualViews, Views

MODES = {2: "bilinear", 3: "trilinear"}


def random_views(
    size: tuple[int, ...], *, images: tuple[int, int] = (2, 2), channels: int = 6, stride: int = 8,
    spread: float = 3.0, dtype: torch.dtype = torch.float32,
) -> DualViews:
    """Two networks' outputs as free leaves: logits [.., 4, *size] and features [.., channels, *size / stride].

    images: how many are labelled and unlabelled. spread: standard deviation of the logits.
    """
    n_labeled, n_unlabeled = images
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int, scale: float = 1.0) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float64) * scale
        return values.to(dtype).requires_grad_()

    small = tuple(s // stride for s in size)
    return DualViews(*(
        Views(
            clean_logits=leaf(n_labeled + n_unlabeled, 4, *size, scale=spread),
            perturbed_logits=leaf(n_unlabeled, 4, *size, scale=spread),
            clean_features=leaf(n_unlabeled, channels, *small),
            perturbed_features=leaf(n_unlabeled, channels, *small),
        )
        for _ in range(2)
    ))


def leaves(views: DualViews) -> list[Tensor]:
    """The eight tensors of ``random_views``."""
    return [tensor for network in (views.a, views.b) for tensor in vars(network).values()]


def upsampled(features: Tensor, size: tuple[int, ...]) -> Tensor:
    """[B, F, *s] to [B, F, *size]."""
    return functional.interpolate(features, size=size, mode=MODES[len(size)], align_corners=False)


def direct_prototypes(features: Tensor, targets: Tensor, n_classes: int, *, pooled: bool = False) -> Tensor:
    """Eq. 15: [C, F] from features [B, F, *s] and targets [B, *S]; ``pooled``: over all pixels of the batch."""
    large = upsampled(features, tuple(targets.shape[1:]))
    pixels = tuple(range(2, large.ndim))
    rows = []
    for c in range(n_classes):
        mask = (targets == c).unsqueeze(1).to(large.dtype)
        if pooled:
            rows.append((large * mask).sum((0, *pixels)) / (mask.sum() + 1e-5))
        else:
            rows.append(((large * mask).sum(pixels) / (mask.sum(pixels) + 1e-5)).mean(dim=0))
    return torch.stack(rows)


def direct_cosine(features: Tensor, prototypes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Cosine of every upsampled feature and every prototype: [B, C, *size]."""
    large = upsampled(features, size)
    columns = [p.reshape(1, -1, *(1 for _ in size)) for p in prototypes]
    return torch.stack([functional.cosine_similarity(large, p, dim=1, eps=1e-8) for p in columns], dim=1)


def direct_objective(views: DualViews, labels: Tensor, weight: float, config: MethodConfig) -> Tensor:
    """The total loss of each preset, with the [B, B, *S] product of ``official``."""
    clean = [n.clean_logits[len(labels):].softmax(dim=1) for n in (views.a, views.b)]
    perturbed = [n.perturbed_logits.softmax(dim=1) for n in (views.a, views.b)]
    confidence = [p.detach().amax(dim=1) for p in perturbed]
    both = torch.stack(confidence).mean(dim=0)
    gamma = _direct_gamma(both, config.beta)
    if config.threshold_scope == "image":
        gamma = torch.stack([_direct_gamma(image, config.beta) for image in both])
        gamma = gamma.reshape(-1, *(1 for _ in both.shape[1:]))
    low = [c < gamma for c in confidence]
    target = _direct_teacher(clean, config)
    total = torch.zeros(())
    for me, other in ((0, 1), (1, 0)):
        student, source = (views.a, views.b)[me], (views.a, views.b)[other]
        total = total + _direct_supervised(student.clean_logits[: len(labels)], labels, config)
        prototype = _direct_prototype_loss(student, source, clean[other].argmax(dim=1), low[me] & ~low[other], config)
        competition = _direct_competition(clean[me], perturbed[me], target, low[0] & low[1], config)
        total = total + weight * (prototype + competition)
    return total


def _direct_gamma(confidence: Tensor, beta: float) -> Tensor:
    values = confidence.flatten().sort().values
    return values[: int(beta * values.numel())].double().mean()


def _direct_teacher(clean: list[Tensor], config: MethodConfig) -> Tensor:
    first, second = (c.amax(dim=1, keepdim=True) for c in clean)
    taught = torch.where(first >= second if config.tie_teacher == "a" else first > second, *clean)
    taught = taught.detach() if config.detach_teacher else taught
    power = 1 / config.temperature
    return taught**power / (taught**power + (1 - taught) ** power)


def _direct_supervised(logits: Tensor, labels: Tensor, config: MethodConfig) -> Tensor:
    probability = logits.softmax(dim=1)
    losses = []
    for c in range(logits.shape[1]):
        p, g = probability[:, c], (labels == c).to(logits.dtype)
        mass = (p * p).sum() + (g * g).sum()
        overlap = (p * g).sum()
        standard = 1 - (2 * overlap + 1e-5) / (mass + 1e-5)
        losses.append(standard if config.dice == "standard" else 1 - overlap / (mass + 1e-10))
    return functional.cross_entropy(logits, labels) + torch.stack(losses).mean()


def _direct_prototype_loss(
    student: Views, source: Views, classes: Tensor, learns: Tensor, config: MethodConfig
) -> Tensor:
    n_classes = student.clean_logits.shape[1]
    prototypes = direct_prototypes(source.clean_features, classes, n_classes, pooled=config.prototype_mean == "pixels")
    prototypes = prototypes.detach() if config.detach_prototypes else prototypes
    cosine = direct_cosine(student.perturbed_features, prototypes, tuple(classes.shape[1:]))
    ce = functional.cross_entropy(cosine, classes, reduction="none")
    mask = learns.to(cosine.dtype)
    spread = mask.unsqueeze(1) * ce if config.ce_alignment == "broadcast" else mask * ce
    masked_ce = spread.sum() / (mask.sum() + 1e-16)
    if config.cosine_loss == "all":
        return masked_ce + ((1 - cosine) * mask.unsqueeze(1)).mean()
    of_target = cosine.gather(1, classes.unsqueeze(1)).squeeze(1)
    return masked_ce + (mask * (1 - of_target)).sum() / (mask.sum() + 1e-16)


def _direct_competition(clean: Tensor, perturbed: Tensor, target: Tensor, region: Tensor,
                        config: MethodConfig) -> Tensor:
    mask = region.unsqueeze(1).to(clean.dtype)
    mse = (mask * (perturbed - target) ** 2).sum() / (mask.sum() + 1e-16)
    entropies = [-(y * torch.log(y + 1e-6)).sum(dim=1) for y in (clean, perturbed)]
    pixels = mask.sum() + 1e-16 if config.entropy_mean == "masked" else mask.numel()
    entropy = sum((mask.squeeze(1) * h).sum() for h in entropies) / pixels
    return config.mse_weight * mse + config.entropy_weight * entropy
