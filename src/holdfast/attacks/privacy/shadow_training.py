"""Training shadow models: all at once where the trainer can, else one by one on as many workers as there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np

from holdfast import limits
from holdfast.attacks.oracle import Oracle
from holdfast.attacks.privacy.scores import own_class_logit
from holdfast.attacks.privacy.shadow_file import ShadowFile, split_digest
from holdfast.attacks.privacy.shadows import Flags, Shadows, shadow_split
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import HoldfastError, UnsupportedError, UsageError
from holdfast.models import Trainer

_SEEDS: Final = 2**31

Progress = Callable[[int, int], None]


@runtime_checkable
class TrainsTogether(Protocol):
    """A trainer that makes many models in the time of a few."""

    def train_together(self, pool: Dataset, inside: Flags, *, seeds: Labels, progress: Progress) -> Iterator[Matrix]:
        """Train a model on each row of `inside` (models, records) of the pool, as it would be trained alone.

        Yields each model's probabilities for the whole pool, (records, classes), in order; calls `progress` with models
        done and all, in between.
        """
        ...


def train_shadows(
    pool: Dataset,
    *,
    trainer: Trainer,
    n_shadows: int,
    share: float = 0.5,
    rng: np.random.Generator,
    n_jobs: int = 1,
    resume: Path | None = None,
    progress: Progress | None = None,
) -> Shadows:
    """Train shadow models on random parts of a pool of records, and ask each about all of them.

    A trainer with `train_together` (see `TrainsTogether`) trains them in one go. Any other trains them one after the
    other through joblib: `n_jobs` of them at a time, on whatever backend `joblib.parallel_config` names (processes,
    threads, Dask, Ray). Who is in which shadow, and the seeds, are drawn beforehand, so the backend decides nothing.

    Args:
        pool: all records that the attack will be asked about.
        trainer: the way that the target was trained.
        n_shadows: at least 4.
        share: of the pool that each shadow is trained on, about; see `shadow_split`.
        rng: decides who is in which shadow, and the shadows' seeds.
        n_jobs: as joblib takes it.
        resume: a file that the answers are kept in. Call again with the same data, options and seed to go on with what
            is missing.
        progress: called with (shadows done, shadows).

    Raises:
        UsageError: fewer than 4 shadows, or more answers than fit in memory.
        DataError: a class with a single record, or `resume` is of other records.
        UnsupportedError: the trainer failed; the sentence says at which shadow, and what was trained before is kept
            where `resume` says.
    """
    if n_shadows * len(pool) > limits.MAX_SHADOW_ANSWERS:
        raise UsageError(
            f"expected at most {limits.MAX_SHADOW_ANSWERS} answers of shadow models, {n_shadows} of {len(pool)} "
            f"records give {n_shadows * len(pool)}",
            hint="attack a sample of the records, or take fewer shadows",
        )
    inside = shadow_split(pool.y, n_shadows, share=share, rng=rng)
    seeds = rng.integers(_SEEDS, size=n_shadows)
    file = ShadowFile(resume, split_digest(pool, inside, seeds))
    logits = np.empty((n_shadows, len(pool)))
    done = file.read(logits)
    if isinstance(trainer, TrainsTogether):
        rows, told = _together(trainer, pool, inside[done:], seeds[done:], done, progress), None
    else:
        rows, told = _one_by_one(trainer, pool, inside[done:], seeds[done:], n_jobs), progress
    _collect(_naming_failures(rows, done, n_shadows, resume), logits, done, file, told)
    return Shadows(logits=logits, inside=inside)


def _collect(rows: Iterator[Matrix], logits: Matrix, done: int, file: ShadowFile, progress: Progress | None) -> None:
    """Take in the answers of one shadow after the other, and keep them whatever ends it."""
    start = done
    try:
        for row in rows:
            logits[done] = row
            done += 1
            if progress is not None:
                progress(done, len(logits))
            if done < len(logits):
                file.write_sometimes(logits[:done])
    finally:  # also when a person interrupts
        if done > start:
            file.write(logits[:done])


def _naming_failures(rows: Iterator[Matrix], done: int, n_shadows: int, path: Path | None) -> Iterator[Matrix]:
    """The same rows; an error says at which shadow it came, and what becomes of those before."""
    try:
        for row in rows:
            yield row
            done += 1
    except Exception as error:  # a trainer may raise anything
        raise _failure(error, done, n_shadows, path) from error


def _failure(error: Exception, done: int, n_shadows: int, path: Path | None) -> HoldfastError:
    """The error that stopped the training, with what was reached."""
    sentence = f"shadow model {done + 1} of {n_shadows} failed: {str(error) or type(error).__name__}"
    if done:
        sentence += (
            f"; {done} are kept at {path}" if path else f"; the {done} before it are lost, as resume was not given"
        )
    if isinstance(error, HoldfastError):
        return type(error)(sentence, hint=error.hint)
    return UnsupportedError(sentence, hint="mend the trainer; with resume=, the same call goes on with what is missing")


def _together(
    trainer: TrainsTogether, pool: Dataset, inside: Flags, seeds: Labels, done: int, progress: Progress | None
) -> Iterator[Matrix]:
    """The logits of shadows trained as one, of which nearly all the time passes before the first is whole."""

    def tell(count: int, total: int) -> None:
        if progress is not None:
            progress(done + count, done + total)

    if len(inside):
        for P in trainer.train_together(pool, inside, seeds=seeds, progress=tell):
            yield own_class_logit(P, pool.y)


def _one_by_one(trainer: Trainer, pool: Dataset, inside: Flags, seeds: Labels, n_jobs: int) -> Iterator[Matrix]:
    """The logits of shadows that are trained each by itself."""
    from joblib import Parallel, delayed

    tasks = (delayed(_answer)(trainer, pool, members, int(seed)) for members, seed in zip(inside, seeds, strict=True))
    yield from Parallel(n_jobs=n_jobs, return_as="generator")(tasks)


def _answer(trainer: Trainer, pool: Dataset, members: Flags, seed: int) -> Matrix:
    """(records,) the logits of one shadow."""
    return own_class_logit(Oracle(trainer(pool.take(members), seed=seed)).predict_proba(pool.X), pool.y)
