"""The budget of CPU as lines of Markdown."""

from tests.bench.markdown_table import table
from tests.bench.stage_table import MEANINGS
from tests.bench.stages import CONNECTIONS, StageBudget

_LEGEND = (
    "CPU is measured without the profiler and divided in proportion to its samples, so the stages add up "
    "to it. A stage is the innermost function that `tests/bench/stage_table.py` names; `other` is what runs "
    "under none of them. Polling is left out: a process that waits for the core looks the same."
)


def stages_lines(budget: StageBudget) -> list[str]:
    rows = [
        (f"{part}: {stage} ({MEANINGS[stage]})", f"{us:.0f}", f"{us / (budget.total_us or 1):.0%}")
        for part, stages in budget.us.items()
        for stage, us in stages.items()
    ]
    rows += [(f"**{part}**", f"**{sum(stages.values()):.0f}**", "") for part, stages in budget.us.items()]
    rows.append(("**gateway and worker**", f"**{budget.total_us:.0f}**", "**100%**"))
    rows += [(f"beside them: {part}", f"{us:.0f}", "") for part, us in budget.around_us.items()]
    samples = ", ".join(f"{count} of the {part}" for part, count in budget.samples.items())
    title = (
        f"## Where the CPU of a request goes: c={CONNECTIONS}, {budget.requests_per_second:.0f} req/s, "
        f"{samples} sampled"
    )
    return [title, "", *table(["Stage", "CPU us", "share"], rows), "", _LEGEND]
