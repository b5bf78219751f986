"""What a batch leaves: summary and digest of real runs, verdicts held against those told last, digests on their way."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from conftest import call
from test_notify import SECRET, Smtp, by_mail, hook

from pipeline import cli
from pipeline.batches import batch, closing
from pipeline.batches.journal import read_log
from pipeline.batches.notify import PASSWORD, USER
from pipeline.batches.summary import Summary
from pipeline.products import _documents

pytestmark = pytest.mark.slow
LATER = {"first": 2030, "last": 2030}


@pytest.fixture
def mine(small, tmp_path):
    """Copy of a small finished run: its folder, with config.yaml, aoi and results."""
    return Path(shutil.copytree(small, tmp_path / "mine"))


@pytest.fixture
def two_years(port, port_results, tmp_path):
    """Copy of results of two years, and their configuration, which may be changed."""
    shutil.copytree(port_results, tmp_path / "results")
    document = yaml.safe_load((port / "config.yaml").read_text())
    document |= {"sites": str(port / "aoi"), "claims": str(port / "claims.yaml"), "out": str(tmp_path / "results")}
    document["source"]["url"] = str(port / "catalog.json")
    return tmp_path, document


def run(folder, document=None, **more):
    path = folder / "config.yaml"
    document = yaml.safe_load(path.read_text()) if document is None else document
    path.write_text(yaml.safe_dump(document | more))
    return cli.main(["run", "--config", str(path)])


def summary_of(out):
    return Summary.model_validate_json((out / "summary.json").read_bytes())


def test_verdicts_are_held_against_those_told_last_also_when_a_batch_between_was_cut_off(
    two_years, monkeypatch, capsys
):
    folder, document = two_years
    out = folder / "results"
    assert run(folder, document) == 0
    first = summary_of(out)
    assert first.verdict_changes == ()
    assert "Nothing changed." in (out / "digest.md").read_text()

    # A batch that finishes its site and is cut off before it tells anybody.
    def interrupted(*_):
        raise KeyboardInterrupt

    told = (out / "digest.md").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(batch, "close_batch", interrupted)
        assert run(folder, document, min_dates=9) == 130
    assert (out / "digest.md").read_bytes() == told
    assert run(folder, document, min_dates=9) == 0
    second = summary_of(out)
    assert second.batch == first.batch + 2
    (site,) = second.sites
    assert site.outcome == "up_to_date"
    assert second.verdict_changes
    assert site.moved >= len(second.verdict_changes)
    package = sqlite3.connect(out / "sim-port" / "sim-port.gpkg")
    with package:
        now = {
            f"changes/{zone}/{metric}/{y0}-{y1}": verdict
            for zone, metric, y0, y1, verdict in package.execute(
                "SELECT zone_id, metric, year_from, year_to, verdict FROM changes"
            )
        }
    package.close()
    for change in second.verdict_changes:
        verdicts = [None if side is None else side.verdict for side in (change.before, change.after)]
        assert verdicts[0] != verdicts[1]
        assert change.layer != "changes" or now.get(change.address) == verdicts[1]
        assert "setting min_dates: 6 → 9" in change.causes
    text = (out / "digest.md").read_text(encoding="utf-8")
    assert text.startswith("# SIMULATED Batch")
    assert "- SIMULATED sim-port, " in text
    assert f"stockline compare sim-port@{site.told_run} sim-port@{site.run}" in text
    # Told once.
    assert run(folder, document, min_dates=9) == 0
    assert summary_of(out).verdict_changes == ()
    capsys.readouterr()
    monkeypatch.chdir(out)
    assert cli.main(["compare", f"sim-port@{site.told_run}", f"sim-port@{site.run}"]) == 0
    assert f"{len(second.verdict_changes)} verdict" in capsys.readouterr().out


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "damaged"])
def test_a_lost_database_makes_no_first_results_of_what_was_told(lost, two_years):
    folder, document = two_years
    out = folder / "results"
    assert run(folder, document) == 0
    told = 1
    state = out / "state.sqlite"
    _ = state.unlink() if lost else state.write_bytes(b"no database at all")
    assert run(folder, document, min_dates=9) == 0
    summary, text = summary_of(out), (out / "digest.md").read_text(encoding="utf-8")
    (site,) = summary.sites
    assert (site.first, site.told_known, site.told_run, site.compared_run) == (False, False, None, told)
    assert summary.verdict_changes
    assert "first result" not in text
    assert f"sim-port: compared with run {told}, the one before its newest" in text
    assert run(folder, document, min_dates=9) == 0
    assert (out / "digest.md").read_text(encoding="utf-8").count("\n\nNothing changed.\n") == 1


def test_a_run_that_cannot_be_compared_with_is_compared_with_once_it_is_back(two_years):
    folder, document = two_years
    out = folder / "results"
    assert run(folder, document) == 0
    (kept,) = (out / "sim-port" / "runs").glob("0001.numbers.json.gz")
    shutil.move(kept, folder / "kept")
    assert run(folder, document, min_dates=9) == 0
    assert "1 site could not be compared." in (out / "digest.md").read_text(encoding="utf-8")
    shutil.move(folder / "kept", kept)
    assert run(folder, document, min_dates=9) == 0
    assert summary_of(out).verdict_changes


def test_first_results_of_a_batch_that_was_cut_off_are_told_by_the_next(mine, monkeypatch):
    out = mine / "results"
    shutil.rmtree(out / "sim-port")
    for name in ("state.sqlite", "batch.json"):
        (out / name).unlink()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch, "close_batch", interrupted)
        assert run(mine) == 130
    with Smtp().running() as server:
        mail = by_mail(server).mail.model_dump(by_alias=True, mode="json")
        assert run(mine, notify={"mail": mail, "when": "changes"}) == 0
    (site,) = summary_of(out).sites
    assert (site.outcome, site.first) == ("up_to_date", True)
    assert "- SIMULATED sim-port (first result), " in (out / "digest.md").read_text(encoding="utf-8")
    assert [message["Subject"].partition(": ")[2] for message in server.mails] == ["1 first result"]


def test_a_failed_site_is_simulated_still_and_a_local_archive_is_not_the_network(mine):
    out = mine / "results"
    source = yaml.safe_load((mine / "config.yaml").read_text())["source"]
    for kind, former in (("simulated", True), ("stac", True), ("stac", False)):
        if not former:
            shutil.rmtree(out / "sim-port")
        assert run(mine, source=source | {"kind": kind}, years=LATER) == 1
        told, text = summary_of(out), (out / "digest.md").read_text(encoding="utf-8")
        marked = kind == "simulated" or former
        assert (told.simulated, told.sites[0].simulated) == (marked, True if marked else None)
        assert text.startswith("# SIMULATED Batch") == marked
        assert "No site was finished." in text
        assert "check the network" not in text
        assert "see that the files it names" in told.sites[0].remedy


def test_a_site_that_fails_is_told_with_what_to_do_and_all_of_it_is_in_the_log(mine, capsys):
    out = mine / "results"
    assert run(mine, years={"first": 2030, "last": 2030}) == 1
    told = summary_of(out)
    (site,) = told.sites
    assert (site.outcome, site.manifest_sha256, told.exit_status) == ("failed", None, 1)
    assert "no scene over the AOI" in site.error
    assert site.remedy
    text = (out / "digest.md").read_text(encoding="utf-8")
    assert "## Failed, and what to do" in text
    assert site.error in text
    entries = list(read_log(out / "logs" / f"{told.batch:04d}.jsonl"))
    assert [entry["event"] for entry in entries][:2] == ["batch_started", "site_started"]
    assert entries[-1]["event"] == "batch_ended"
    assert entries[-1]["numbers"] == {"exit_status": 1}
    (failed,) = [entry for entry in entries if entry["event"] == "site_failed"]
    assert (failed["level"], failed["site"]) == ("error", "sim-port")
    assert failed["text"].endswith(site.error.partition(": ")[2])
    assert str(mine) not in text + (out / "summary.json").read_text(), "others read both"
    said = capsys.readouterr().err.splitlines()
    logged = [f"{entry['site']}: {entry['text']}" for entry in entries if entry["event"] == "said"]
    assert [line for line in said if line in logged] == logged, "what the screen shows is in the log"
    # What was told of it before is not forgotten.
    assert run(mine, years={"first": 2018, "last": 2018}) == 0
    assert summary_of(out).sites[0].first is False


def test_a_digest_that_was_not_delivered_goes_with_the_next(mine, capsys):
    out = mine / "results"
    with hook(200) as server:
        nobody = {"webhook": {"url": server.url}, "tries": 1, "timeout_s": 1.0}
    assert run(mine, notify=nobody) == 0, "a digest that is not delivered fails no site"
    assert "digest not delivered by webhook: 127.0.0.1 gives no answer" in capsys.readouterr().err
    first = summary_of(out)
    assert [(d.way, d.batch, d.error is None) for d in first.deliveries] == [("webhook", first.batch, False)]
    assert "It goes with the next digest" in (out / "digest.md").read_text()
    assert cli.main(["status", "--config", str(mine / "config.yaml")]) == 0
    assert "1 digest waits to be delivered: 127.0.0.1 gives no answer" in capsys.readouterr().out
    with hook(200) as server:
        assert run(mine, notify={"webhook": {"url": server.url}}) == 0
    assert [json.loads(body)["batch"] for _, _, body in server.got] == [first.batch, first.batch + 1]
    assert json.loads(server.got[1][2])["earlier"] == [first.batch]
    told = summary_of(out)
    assert [d.error for d in told.deliveries] == [None, None]
    with hook(200) as server:
        assert run(mine, notify={"webhook": {"url": server.url}}) == 0
    assert len(server.got) == 1


@pytest.mark.parametrize(("when", "fails", "mails"), [
    ("always", False, 1), ("changes", False, 0), ("failures", False, 0), ("changes", True, 1), ("failures", True, 1),
])  # fmt: skip
def test_who_wants_to_hear_of_failures_only_hears_of_those(when, fails, mails, mine):
    years = {"first": 2030, "last": 2030} if fails else {"first": 2018, "last": 2018}
    with Smtp().running() as server:
        mail = by_mail(server).mail.model_dump(by_alias=True, mode="json")
        assert run(mine, notify={"mail": mail, "when": when}, years=years) == int(fails)
    assert len(server.mails) == mails
    if mails:
        subject = server.mails[0]["Subject"]
        assert subject.endswith("1 failed" if fails else "nothing changed")
        digest = (mine / "results" / "digest.md").read_text(encoding="utf-8")
        assert server.mails[0].get_content().replace("\r\n", "\n") == digest


def test_two_digests_that_waited_come_as_one_mail(mine):
    with Smtp().running() as server:
        mail = by_mail(server).mail.model_dump(by_alias=True, mode="json")
    for _ in range(2):
        assert run(mine, notify={"mail": mail, "tries": 1}) == 0
    with Smtp().running() as server:
        assert run(mine, notify={"mail": mail | {"port": server.port}}) == 0
    (message,) = server.mails
    text = message.get_content()
    assert text.count("Earlier digest, not delivered (127.0.0.1 gives no answer") == 2
    numbers = [int(line.split()[-4].strip(",")) for line in text.splitlines() if line.startswith("# SIMULATED Batch")]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 3


def test_a_password_is_nowhere_but_on_its_way(mine):
    """Also when the server repeats it in its refusal."""
    with Smtp(user=("someone", "another")).running() as server:
        mail = by_mail(server).mail.model_dump(by_alias=True, mode="json")
        document = yaml.safe_load((mine / "config.yaml").read_text()) | {"notify": {"mail": mail}}
        (mine / "config.yaml").write_text(yaml.safe_dump(document))
        done = call("run", "--config", mine / "config.yaml", env={USER: "someone", PASSWORD: SECRET})
    assert done.returncode == 0
    assert server.logins
    assert "refuses the login" in done.stderr
    places = {str(path): path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    places |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    assert [name for name, content in places.items() if SECRET.encode() in content] == []


def test_what_notify_lacks_is_told_before_any_work(mine, capsys):
    before = {path: path.stat().st_mtime_ns for path in (mine / "results").rglob("*")}
    assert run(mine, notify={"webhook": {}}) == 2
    assert "STOCKLINE_WEBHOOK_URL" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (mine / "results").rglob("*")} == before


def test_settings_of_batches_are_in_no_result(mine, capsys):
    manifest = mine / "results" / "sim-port" / "manifest.json"
    before = manifest.read_bytes()
    assert run(mine, notify={"when": "failures"}, batch={"stale_days": 3}) == 0
    assert "up to date" in capsys.readouterr().out
    assert manifest.read_bytes() == before


def test_a_defect_in_the_digest_costs_no_result_and_is_told(mine, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(batch, "close_batch", broken)
    assert run(mine) == 1
    said = capsys.readouterr()
    assert "sim-port: SIMULATED up to date" in said.out
    assert said.err.splitlines()[-1].startswith("digest: FAILED after 0 s: unexpected ZeroDivisionError")
    monkeypatch.undo()
    assert run(mine) == 0


def test_a_summary_that_cannot_be_written_is_told_and_its_verdicts_are_told_next_time(two_years, capsys):
    folder, document = two_years
    out = folder / "results"
    assert run(folder, document) == 0
    shutil.move(out / "summary.json", out / "kept.json")
    (out / "summary.json").mkdir()  # nothing can take its place
    assert run(folder, document, min_dates=9) == 1
    assert "summary.json: cannot be written" in capsys.readouterr().err
    (out / "summary.json").rmdir()
    assert run(folder, document, min_dates=9) == 0
    assert summary_of(out).verdict_changes


def test_the_schema_of_the_summary_is_the_one_in_the_docs():
    kept = json.loads((Path(__file__).parents[1] / "docs" / "summary.schema.json").read_text(encoding="utf-8"))
    assert kept == Summary.model_json_schema(), "write it anew: see the test"


def test_runs_that_lack_what_shall_vouch_for_them_are_named(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    assert closing._lacking(tmp_path) == []
    asked = _documents.Custody(signed_by="SHA256:x", stamped_by="https://tsa.example.org")
    for number, custody in ((1, asked), (2, None), (10, asked)):
        run = _documents.Run(
            number=number, started="", finished="", seconds=0.0, workers=1, log=(), libraries={}, archive_root=None,
            evidence_root="", manifest_sha256="0" * 64, previous_run_sha256=None, custody=custody,
        )  # fmt: skip
        (folder / f"{number:04d}.json").write_text(_documents.json_text(run))
    assert closing._lacking(tmp_path) == ["sig", "tsr"]
    (folder / "0010.json.tsr").touch()
    assert closing._lacking(tmp_path) == ["sig"]
    (folder / "0010.json").unlink()
    assert closing._lacking(tmp_path) == []
