"""The `framelend` command as a renter runs it: its own process, intake, and a real S3 store behind presigned addresses."""

import asyncio
import json
from typing import Any

from contracts import events as e
from contracts.values import PriceLine
from tests.integration.intake_stage import Person, stored_frames, the_renter, the_stage  # noqa: F401
from tests.integration.shop_stage import Shop, a_blend, the_shop  # noqa: F401
from tests.waiting import until


async def test_one_command_takes_a_blend_to_a_film_and_another_fetches_it(shop: Shop) -> None:
    renter = await shop.stage.a_person("renter")
    words = ("submit", str(a_blend(shop.folder)), "--frames", "1-10", "--price", "0.02", "--accept", "1.5", "--watch")
    running = asyncio.create_task(shop.run(renter, *words))
    await shop.takes_a_bundle(renter)
    job = await shop.quotes(renter, 1_500_000)
    await shop.renders(renter, job)
    done = await running
    assert done.code == 0, done.err + done.out
    assert "Denoising is on [bold]." in done.out, "what the farm says is never markup"
    assert "1.50 credits, firm" in done.out
    assert "completed" in done.out
    fetching = asyncio.create_task(shop.run(renter, "download", job, "--to", "films", "--json"))
    await shop.hands_out(renter, job)
    fetched = await fetching
    assert fetched.code == 0, fetched.err
    assert json.loads(fetched.out)["files"] == ["films/film.mp4"]
    assert (shop.folder / "films" / "film.mp4").read_bytes() == b"the film" * 1000
    assert [one["id"] for one in json.loads((await shop.run(renter, "jobs", "--json")).out)] == [job]
    assert json.loads((await shop.run(renter, "frames", job, "--json")).out)["stored"] == "1-10"


async def test_a_quote_above_the_limit_is_not_accepted_and_says_so_by_its_exit_code(shop: Shop) -> None:
    renter = await shop.stage.a_person("renter")
    running = asyncio.create_task(shop.run(renter, "submit", str(a_blend(shop.folder)), "--accept", "1", "--json"))
    await shop.takes_a_bundle(renter)
    job = await shop.quotes(renter, 1_500_000)
    done = await running
    assert done.code == 6, done.err
    assert not shop.stage.world.said(e.QuoteAccepted, job=job)
    quote = await shop.run(renter, "quote", job)
    assert (quote.code, "framelend accept" in quote.out) == (0, True)
    assert (await shop.run(renter, "accept", job, "--up-to", "1.2")).code == 6
    accepting = asyncio.create_task(shop.run(renter, "accept", job))
    await shop.stage.world.hear(e.QuoteAccepted, job=job)
    no = e.HoldRefused(job=job, account=renter.id, version=1, needed_micro=5, available_micro=1, text="Top up 4 credits.")
    await shop.stage.world.say("billing", no)
    refused = await accepting
    assert (refused.code, "Top up 4 credits." in refused.err) == (6, True)


async def both_ways(shop: Shop, who: Person, command: str, plain: str, json_of: str) -> tuple[str, dict[str, Any]]:
    """What the command says to people about one job, and to scripts about another."""
    said, told = await asyncio.gather(shop.run(who, command, plain), shop.run(who, command, json_of, "--json"))
    assert (said.code, told.code) == (0, 0), said.err + told.err
    return said.out, json.loads(told.out)


async def test_a_job_is_paused_resumed_and_cancelled_by_command(shop: Shop) -> None:
    renter = await shop.stage.a_person("renter")
    jobs = [await shop.stage.a_held_job(renter) for _ in range(2)]
    words = {"pause": "It is being paused.", "resume": "It goes on.", "cancel": "It is being cancelled."}
    for command, sentence in words.items():
        said, told = await both_ways(shop, renter, command, *jobs)
        assert sentence in said
        assert told["id"] == jobs[1]
    for job in jobs:
        assert [one.action for one in shop.stage.world.said(e.JobControlled, job=job)] == list(words)
    over = await shop.run(renter, "pause", jobs[0])
    assert (over.code, "cannot be changed any more" in over.err) == (1, True)


async def test_a_quote_is_declined_by_command(shop: Shop) -> None:
    renter = await shop.stage.a_person("renter")
    jobs = [await shop.stage.a_quoted_job(renter) for _ in range(2)]
    said, told = await both_ways(shop, renter, "decline", *jobs)
    assert "Declined." in said
    assert told["id"] == jobs[1]
    for job in jobs:
        await shop.stage.world.hear(e.QuoteDeclined, job=job, version=1)
    unquoted = await shop.run(renter, "decline", await shop.stage.a_job(renter))
    assert (unquoted.code, "no quote yet" in unquoted.err) == (6, True)


async def test_a_lender_sees_by_command_what_was_earned(shop: Shop) -> None:
    renter, lender = await shop.stage.a_person("renter"), await shop.stage.a_person("lender")
    earned = e.AgentCharge(agent="machine-9", owner=lender.id, frames=3, micro_wu=30_000_000, earned_micro=300_000)
    job = await shop.stage.a_held_job(renter)
    charged = e.JobCharged(job=job, account=renter.id, charged_micro=300_000, frames=3, revision=1, agents=(earned,))
    await shop.stage.world.say("billing", charged)

    async def seen() -> bool:
        return bool((await lender.get("/v1/earnings")).json()["frames"] == 3)

    await until(seen, "intake has heard of it")
    said, told = await asyncio.gather(shop.run(lender, "earnings"), shop.run(lender, "earnings", "--json"))
    assert (said.code, told.code) == (0, 0), said.err + told.err
    assert "machine-9" in said.out
    assert "0.30 credits earned" in said.out
    assert [(one["agent"], one["frames"]) for one in json.loads(told.out)["agents"]] == [("machine-9", 3)]


async def test_problems_are_sentences_and_exit_codes(shop: Shop, renter: Person) -> None:
    stranger = Person("x", "fl_wrong", renter.http)
    unknown, wrong, nowhere, usage, mine = await asyncio.gather(
        shop.run(renter, "watch", "j-nothing"),
        shop.run(stranger, "account"),
        shop.run(renter, "submit", "nowhere.blend"),
        shop.run(renter, "no-such-command"),
        shop.run(renter, "account", "--json"),
    )
    assert [one.code for one in (unknown, wrong, nowhere, usage, mine)] == [1, 5, 1, 2, 0]
    assert "no such job" in unknown.err
    assert "does not exist" in nowhere.err
    assert json.loads(mine.out)["id"] == renter.id


async def test_the_operator_opens_accounts_and_issues_credits_by_command(shop: Shop) -> None:
    operator = shop.stage.operator
    opened = json.loads(
        (await shop.run(operator, "ops", "open-account", "Lena", "l@example.org", "--role", "lender", "--json")).out
    )
    assert opened["key"].startswith("fl_")
    issued = await shop.run(operator, "ops", "issue-credits", opened["id"], "2.5", "--key", "once")
    assert issued.code == 0, issued.err
    ordered = await shop.stage.world.hear(e.CreditsOrdered, account=opened["id"])
    assert ordered.amount_micro == 2_500_000
    listed = await shop.run(operator, "ops", "accounts", "--json")
    assert opened["id"] in [one["id"] for one in json.loads(listed.out)]


async def test_a_login_is_remembered_for_its_owner_only(shop: Shop, renter: Person) -> None:
    done = await shop.run(renter, "login", shop.stage.intake.url, "--key", renter.key)
    assert done.code == 0, done.err
    path = shop.folder / "config" / "framelend" / "config.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert renter.key not in done.out + done.err


async def test_a_watch_goes_on_after_intake_was_killed(shop: Shop) -> None:
    renter = await shop.stage.a_person("renter")
    job = await shop.stage.a_held_job(renter)
    watching = asyncio.create_task(shop.run(renter, "watch", job, "--json"))

    async def watched() -> bool:
        return "/v1/jobs/{job}/events" in (await renter.get("/metrics")).text

    await until(watched, "the stream is open", 15)
    shop.stage.intake.kill()
    await shop.stage.world.say("storage", stored_frames(job, 1))
    await shop.stage.world.say("scheduler", e.JobStateChanged(job=job, account=renter.id, state="completed", revision=9))
    line = PriceLine(code="frames", text="frames", amount_micro=1)
    settled = e.JobSettled(
        job=job, account=renter.id, outcome="completed", held_micro=1, charged_micro=1, released_micro=0, lines=(line,), frames=()
    )
    await shop.stage.world.say("billing", settled)
    await shop.intake_again()
    done = await watching
    assert done.code == 0, done.err
