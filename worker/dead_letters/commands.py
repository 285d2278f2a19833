"""What the three commands do; each returns its exit code."""

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_rights import expect_rights
from shared.domain.priority import lanes_of
from worker.dead_letters.arguments import selection_of
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.plan import Plan, make_plan
from worker.dead_letters.progress import Progress
from worker.dead_letters.redrive import Rules
from worker.dead_letters.redriver import RedriveFailed, Redriver, described
from worker.dead_letters.selection import Selection
from worker.dead_letters.topic import DeadLetterTopic, open_topic
from worker.settings import WorkerSettings

OK, NOT_ALL, USAGE = 0, 1, 2

Say = Callable[[str], None]


class WrongUse(Exception):
    """The command cannot be carried out as it was typed."""


async def list_letters(arguments: Namespace, settings: WorkerSettings, say: Say, note: Say) -> int:
    """One line a letter, and a count by reason."""
    counts: Counter[str] = Counter()
    redriven = 0
    async with _open(settings) as topic:
        async for letter in topic.letters(selection_of(arguments)):
            say(json.dumps(letter.summary()) if arguments.json else letter.line())
            counts[letter.reason] += 1
            redriven += letter.redriven is not None
            if counts.total() == arguments.limit:
                break
    summarise = note if arguments.json else say
    summarise(f"{counts.total()} dead letters, {redriven} of them redriven")
    for reason, count in counts.most_common():
        summarise(f"{count:>8}  {reason}")
    return OK if counts else NOT_ALL


async def show_letter(arguments: Namespace, settings: WorkerSettings, say: Say, note: Say) -> int:
    """Everything of one letter."""
    selection = Selection(positions=frozenset({arguments.position}))
    async with _open(settings) as topic:
        async for letter in topic.letters(selection):
            say(json.dumps(letter.everything(with_value=arguments.value), indent=2))
            return OK
    note(f"no dead letter at {arguments.position} of {settings.kafka_dead_letter_topic}")
    return NOT_ALL


async def plan_redrive(arguments: Namespace, settings: WorkerSettings, say: Say) -> Plan:
    """Count and judge what is selected; a dry run says each letter."""
    rules, selection = rules_of(arguments, settings), selection_of(arguments)

    def show(letter: DeadLetter) -> None:
        if arguments.dry_run:
            say(described(letter, rules.outgoing(letter)))

    async with _open(settings) as topic:
        _check_target(topic, rules)
        return await make_plan(
            topic.letters(selection),
            rules,
            wanted=selection.positions,
            limit=arguments.limit,
            max_jobs=arguments.max_jobs,
            show=show,
        )


async def carry_out(plan: Plan, arguments: Namespace, settings: WorkerSettings, say: Say, note: Say) -> int:
    """Send what the plan holds; marks are read anew, because somebody else may be redriving too."""
    await _expect_to_send(settings, rules_of(arguments, settings))
    progress, sent = Progress(plan.jobs, sys.stderr), 0
    selection = Selection(positions=frozenset(plan.positions))
    async with (
        _open(settings) as topic,
        connect_kafka_producer(
            settings.kafka_bootstrap_servers, settings.llm_app_name, settings.kafka_security()
        ) as producer,
    ):
        redriver = Redriver(producer, settings.kafka_dead_letter_topic, rules_of(arguments, settings))
        async for letter in topic.letters(selection):
            try:
                line = await redriver.redrive(letter)
            except RedriveFailed as fault:
                progress.clear()
                note(str(fault))
                if fault.is_broker_away:
                    break
            else:
                progress.clear()
                say(line)
                sent += 1
            progress.step()
    progress.clear()
    say(f"redriven: {sent} of {plan.jobs}")
    return OK if sent == plan.jobs and plan.is_whole else NOT_ALL


def _open(settings: WorkerSettings) -> AbstractAsyncContextManager[DeadLetterTopic]:
    return open_topic(
        settings.kafka_bootstrap_servers, settings.kafka_dead_letter_topic, settings.kafka_security()
    )


async def _expect_to_send(settings: WorkerSettings, rules: Rules) -> None:
    """Before the first record: who may send but not mark would send everything again the next time."""
    targets = [rules.to] if rules.to else lanes_of(rules.request_topic).values()
    topics = (settings.kafka_dead_letter_topic, *targets)
    await expect_rights(
        settings.kafka_bootstrap_servers, settings.kafka_security(), dict.fromkeys(topics, ("WRITE",))
    )


def _check_target(topic: DeadLetterTopic, rules: Rules) -> None:
    """A misspelt topic would be made by many a broker, and nobody would read it."""
    target = rules.to or rules.request_topic
    if target not in topic.others:
        allowed = "any topic that exists, but not the dead letters' own"
        raise WrongUse(f"cannot redrive to {target}; allowed: {allowed}")


def rules_of(arguments: Namespace, settings: WorkerSettings) -> Rules:
    return Rules(
        settings.kafka_request_topic,
        settings.model_defaults(),
        settings.retention(),
        to=arguments.to,
        allow_paid_again=arguments.allow_paid_again,
        new_ids=arguments.new_ids,
        fresh_deadlines=arguments.fresh_deadlines,
    )
