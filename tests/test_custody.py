"""Signatures by real keys and stamps of a real authority: made, checked, and everything that is not them refused."""

import datetime as dt
import json
import re
import shutil
import subprocess
import sys

import authority
import pytest
from conftest import environment
from test_manifest import WHEN, facts_of, flip, make_result, read_manifest

from pipeline.config import read_config
from pipeline.custody_section import CustodyConfig
from pipeline.errors import InputError
from pipeline.products.custody.proofs import Trust
from pipeline.products.custody.stamps import check_stamp, read_authorities
from pipeline.products.custody.verify import examine, verify
from pipeline.products.custody.vouching import expected, ready, vouch
from pipeline.products.runs import write_run

pytestmark = [
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"),
    pytest.mark.skipif(authority.missing() is not None, reason="openssl is not installed"),
]
SIG, TSR, KEPT = "runs/0001.json.sig", "runs/0001.json.tsr", "runs/0001.proofs"


def new_key(path, passphrase=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "desk", "-f", str(path)]
    subprocess.run(made, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A key, a list of who may sign, and an authority that answers."""
    base = tmp_path_factory.mktemp("desk")
    key = new_key(base / "id")
    signers = base / "signers"
    signers.write_text(f'desk@example.org namespaces="stockline" {key.with_suffix(".pub").read_text()}')
    made = authority.Authority(base / "authority")
    with made.running() as url:
        yield {"key": key, "signers": signers, "authority": made, "url": url}


@pytest.fixture
def settings(desk):
    desk["authority"].spoil, desk["authority"].status = (lambda answer: answer), 200
    ca = str(desk["authority"].certificates)
    return CustodyConfig(sign_key=str(desk["key"]), timestamp_url=desk["url"], timestamp_ca=ca, timeout_s=5)


@pytest.fixture
def said():
    return []


@pytest.fixture
def vouched(tmp_path, settings, said):
    """A result whose run was signed and stamped."""
    folder = unvouched(tmp_path, settings)
    assert vouch([folder], ready(settings), lambda *line: said.append(line)) == []
    return folder


def unvouched(base, settings):
    folder, inputs = make_result(base, runs=0)
    write_run(folder, facts_of(read_manifest(folder), inputs, WHEN, WHEN, custody=expected(settings)))
    return folder


def told(folder, **trust):
    found = examine(folder, Trust.of(folder, trust.get("signers"), trust.get("tsa_ca")))
    return [(problem.path, problem.kind) for problem in found.problems]


def test_a_run_is_signed_and_stamped_and_openssl_and_ssh_say_so_too(vouched, desk, said):
    trust = {"signers": desk["signers"], "tsa_ca": desk["authority"].certificates}
    assert told(vouched) == []
    assert told(vouched, **trust) == []
    found = examine(vouched, Trust.of(vouched, trust["signers"], trust["tsa_ca"])).vouched["hoeryong"]
    assert (found.signer, found.trusted, found.authority) == ("desk@example.org", True, "CN=Test-Authority")
    assert abs(found.time - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=10)
    assert [line[0] for line in said] == ["hoeryong", "hoeryong"]
    record = (vouched / "runs/0001.json").read_bytes()
    sign = ["ssh-keygen", "-Y", "verify", "-f", desk["signers"], "-I", "desk@example.org", "-n", "stockline"]
    assert subprocess.run([*sign, "-s", vouched / SIG], input=record, capture_output=True, check=False).returncode == 0
    stamp = ["openssl", "ts", "-verify", "-data", vouched / "runs/0001.json", "-in", vouched / TSR]
    assert subprocess.run([*stamp, "-CAfile", trust["tsa_ca"]], capture_output=True, check=False).returncode == 0
    [(kind, query)] = desk["authority"].asked[-1:]
    assert kind == "application/timestamp-query"
    assert b"hoeryong" not in query
    assert len(query) < 100


def test_what_is_said_of_a_signature_says_what_it_was_not_compared_with(vouched, desk):
    *_, line, last = examine(vouched).lines
    assert last == f"{vouched}: every hash agrees"
    assert line.startswith("runs/0001.json of hoeryong: signed with key SHA256:")
    assert "not compared with a list of signers" in line
    assert re.search(r"; stamped 20\S+Z, by an authority not compared with a certificate you trust \(--tsa-ca\)", line)
    assert "Test-Authority" not in line, "the token gives itself that name"
    trust = Trust.of(vouched, desk["signers"], desk["authority"].certificates)
    line = examine(vouched, trust).lines[-2]
    assert "by desk@example.org; stamped by CN=Test-Authority at 20" in line
    assert "not compared" not in line


def test_what_nothing_vouches_for_is_said(tmp_path):
    folder, _ = make_result(tmp_path)
    assert "runs/0001.json of hoeryong: not signed; no time stamp; nothing outside this folder vouches for it" in (
        examine(folder).lines
    )


@pytest.mark.parametrize("name", [SIG, TSR, KEPT])
def test_every_byte_of_what_vouches_is_checked_and_its_removal_named(vouched, name):
    path = vouched / name
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 40)):
        flip(path, position)
        assert told(vouched) == [(name, "differs")], position
        path.write_bytes(content)
    for text in (content + b"\n", content[:-20], b""):
        path.write_bytes(text)
        assert told(vouched) == [(name, "differs")]
    path.unlink()
    assert told(vouched) == [(name, "missing")]


def test_a_signature_that_does_not_hold_is_not_called_none(vouched):
    flip(vouched / SIG, 60)
    assert "runs/0001.json of hoeryong: its signature does not hold; stamped 20" in examine(vouched).lines[-2]
    flip(vouched / TSR, 60)
    assert "its signature does not hold; its time stamp does not hold" in examine(vouched).lines[-2]


def test_a_forger_who_knows_the_format_is_refused_by_key_and_authority(vouched, tmp_path, desk, settings):
    """A whole other run, with hashes that agree, signed and stamped by others."""
    other = authority.Authority(tmp_path / "other")
    new_key(tmp_path / "forger")
    with other.running() as url:
        forger = settings.model_copy(
            update={"sign_key": str(tmp_path / "forger"), "timestamp_url": url, "timestamp_ca": str(other.certificates)}
        )
        for name in (SIG, TSR, KEPT):
            (vouched / name).unlink()
        assert vouch([vouched], ready(forger), lambda *_: None) == []
    assert told(vouched) == [(SIG, "differs")], "the record names another key"
    assert "its record names SHA256:" in verify(vouched)[0].detail
    trust = {"signers": desk["signers"], "tsa_ca": desk["authority"].certificates}
    assert told(vouched, **trust) == [(TSR, "differs"), (SIG, "differs")]


def test_proofs_of_another_run_do_not_fit(vouched, tmp_path, desk, settings):
    elsewhere = unvouched(tmp_path / "elsewhere", settings.model_copy(update={"sign_key": None}))
    assert vouch([elsewhere], ready(settings), lambda *_: None) == []
    for name in (SIG, TSR, KEPT):
        shutil.copy(elsewhere / name, vouched / name)
    trust = {"signers": desk["signers"], "tsa_ca": desk["authority"].certificates}
    assert told(vouched) == [(TSR, "differs"), (SIG, "differs")]
    assert told(vouched, **trust) == [(TSR, "differs"), (SIG, "differs")]


def test_a_signature_for_another_purpose_does_not_fit(vouched, desk):
    record = vouched / "runs/0001.json"
    mail = ["ssh-keygen", "-Y", "sign", "-n", "mail", "-f", desk["key"]]
    done = subprocess.run(mail, input=record.read_bytes(), capture_output=True, check=True)
    (vouched / SIG).write_bytes(done.stdout)
    (vouched / KEPT).unlink()
    assert (SIG, "differs") in told(vouched)


def test_lists_of_trust_are_the_readers_own(vouched, desk, tmp_path):
    shutil.copy(desk["signers"], vouched / "signers")
    with pytest.raises(InputError, match="lies in the result it is to vouch for"):
        Trust.of(vouched, vouched / "signers", None)
    with pytest.raises(InputError, match=r"--tsa-ca .*no such file"):
        Trust.of(vouched, None, tmp_path / "none")
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(InputError, match="holds no certificate"):
        Trust.of(vouched, None, tmp_path / "text")


def test_a_key_that_ended_after_the_stamp_is_still_good_and_one_that_ended_before_is_not(vouched, desk, tmp_path):
    public = desk["key"].with_suffix(".pub").read_text()
    for days, good in ((1, True), (-1, False)):
        until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).strftime("%Y%m%d%H%MZ")
        (tmp_path / "list").write_text(f'desk@example.org valid-before="{until}" {public}')
        found = told(vouched, signers=tmp_path / "list", tsa_ca=desk["authority"].certificates)
        assert found == ([] if good else [(SIG, "differs")])


def test_key_and_certificate_that_ended_after_the_stamp_leave_it_good(tmp_path, settings, desk):
    """What counts is the time of the stamp, not ours: by the clock of a machine of 2040 both still fit."""
    folder = unvouched(tmp_path, settings)
    assert vouch([folder], ready(settings), lambda *_: None) == []
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    script = (
        "import sys; from pathlib import Path; from pipeline.products.custody.proofs import Trust;"
        "from pipeline.products.custody.verify import examine; import datetime as dt; f = Path(sys.argv[1]);"
        "print(dt.date.today().year, *examine(f, Trust.of(f, *map(Path, sys.argv[2:]))).lines, sep='|')"
    )
    signers = tmp_path / "signers"
    signers.write_text(f'desk@example.org valid-before="20330101" {desk["key"].with_suffix(".pub").read_text()}')
    call = ["faketime", "2040-01-01", sys.executable, "-c", script, folder, signers, settings.timestamp_ca]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2040|")
    assert "by desk@example.org" in done.stdout
    assert "every hash agrees" in done.stdout
    (folder / TSR).unlink()
    done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=True)
    assert f"{SIG}: as a signature of runs/0001.json is by key SHA256:" in done.stdout, "without it nobody knows when"


def test_an_authority_that_does_not_answer_is_told_once_and_the_next_batch_asks_again(tmp_path, settings, desk, said):
    first = unvouched(tmp_path / "a", settings)
    second = unvouched(tmp_path / "b", settings)
    desk["authority"].status = 503
    asked = len(desk["authority"].asked)
    assert vouch([first, second], ready(settings), lambda *line: said.append(line)) == []
    assert len(desk["authority"].asked) == asked + 1
    assert [text for _, text in said if "has no time stamp" in text]
    assert told(first) == [(TSR, "missing")]
    assert (first / SIG).is_file()
    desk["authority"].status = 200
    assert vouch([first, second], ready(settings), lambda *line: said.append(line)) == []
    assert told(first) == told(second) == []
    before = {name: (first / name).read_bytes() for name in (SIG, TSR, KEPT)}
    asked = len(desk["authority"].asked)
    assert vouch([first, second], ready(settings), lambda *_: None) == []
    assert {name: (first / name).read_bytes() for name in before} == before, "what is there is left"
    assert len(desk["authority"].asked) == asked


def test_an_answer_that_is_no_good_stamp_is_not_kept(tmp_path, settings, desk, said):
    folder = unvouched(tmp_path, settings)
    other = authority.Authority(tmp_path / "other")
    something = tmp_path / "something"
    something.write_bytes(b"else")
    old = desk["authority"].stamp(folder / "runs/0001.json")
    spoils = {
        "cut": lambda answer: answer[:-30],
        "none": lambda _: b"",
        "no stamp": lambda _: b"<html>busy</html>",
        "endless": lambda answer: answer + bytes(1 << 18),
        "of something else": lambda _: desk["authority"].stamp(something),
        "of another authority": lambda _: other.answer(desk["authority"].asked[-1][1]),
        "of another question": lambda _: old,
        "refused": lambda _: bytes.fromhex("30073005020102") + b"\x30\x00",
    }
    for name, spoil in spoils.items():
        desk["authority"].spoil = spoil
        said.clear()
        assert vouch([folder], ready(settings), lambda *line: said.append(line)) == []
        assert not (folder / TSR).exists(), name
        assert "has no time stamp" in said[-1][1], name
        assert "\n" not in said[-1][1], name
    desk["authority"].spoil = lambda answer: answer
    assert vouch([folder], ready(settings), lambda *_: None) == []
    assert told(folder) == []


def test_a_key_that_cannot_sign_is_refused_before_any_work(tmp_path, settings):
    locked = new_key(tmp_path / "locked", "secret words")
    with pytest.raises(InputError, match=r"cannot sign .*key without a passphrase"):
        ready(settings.model_copy(update={"sign_key": str(locked)}))
    with pytest.raises(InputError, match="no such file"):
        ready(settings.model_copy(update={"sign_key": str(tmp_path / "none")}))
    (tmp_path / "text").write_text("no key")
    with pytest.raises(InputError, match="is no SSH key"):
        ready(settings.model_copy(update={"sign_key": str(tmp_path / "text")}))
    with pytest.raises(InputError, match=r"custody\.timestamp_ca = .*holds no certificate"):
        ready(settings.model_copy(update={"timestamp_ca": str(tmp_path / "text")}))


def test_the_settings_are_checked_and_their_paths_are_of_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("custody: {sign_key: keys/id, timestamp_url: 'https://tsa.example.org', timestamp_ca: ca.pem}\n")
    custody = read_config(path).custody
    assert (custody.sign_key, custody.timestamp_ca) == (str(tmp_path / "keys/id"), str(tmp_path / "ca.pem"))
    for text in ("{timestamp_url: 'https://tsa.example.org'}", "{timestamp_url: tsa, timestamp_ca: x}", "{key: x}"):
        path.write_text(f"custody: {text}\n")
        with pytest.raises(InputError, match="custody"):
            read_config(path)


def test_a_damaged_record_is_not_signed(tmp_path, settings):
    folder = unvouched(tmp_path, settings)
    flip(folder / "runs/0001.json", 40)
    [line] = vouch([folder], ready(settings), lambda *_: None)
    assert "nothing vouches for it" in line
    assert not (folder / SIG).exists()


def test_what_was_changed_is_not_vouched_for_anew(tmp_path, settings, desk):
    folder = unvouched(tmp_path, settings)
    desk["authority"].status = 503
    vouch([folder], ready(settings), lambda *_: None)
    content = (folder / SIG).read_bytes()
    (folder / SIG).write_bytes(content + b"\n")
    desk["authority"].status = 200
    vouch([folder], ready(settings), lambda *_: None)
    assert told(folder) == [(SIG, "differs")]
    (folder / SIG).write_bytes(content)
    assert told(folder) == []


def test_what_vouched_for_former_runs_is_in_the_next_record(vouched, settings):
    made = read_manifest(vouched)
    inputs = make_result(vouched.parents[1] / "again")[1]
    run = write_run(vouched, facts_of(made, inputs, WHEN, WHEN, custody=expected(settings)))
    assert set(run.proofs) == {SIG, TSR}
    for name in (SIG, KEPT):
        (vouched / name).unlink()
    assert (SIG, "missing") in told(vouched)
    document = json.loads((vouched / "run.json").read_text())
    assert document["custody"]["signed_by"].startswith("SHA256:")


def next_run(folder, custody=None):
    """A newer run of the same site, as one would be forged: its hashes agree, nobody signs it."""
    inputs = make_result(folder.parents[1] / "again")[1]
    write_run(folder, facts_of(read_manifest(folder), inputs, WHEN, WHEN, custody=custody))


def test_a_newest_run_that_nobody_on_the_readers_lists_vouches_for_is_a_problem(vouched, desk):
    next_run(vouched)
    signers, ca = desk["signers"], desk["authority"].certificates
    signature, stamp = ("runs/0002.json.sig", "missing"), ("runs/0002.json.tsr", "missing")
    assert told(vouched, signers=signers) == [signature]
    assert told(vouched, tsa_ca=ca) == [stamp]
    assert told(vouched, signers=signers, tsa_ca=ca) == [signature, stamp]
    assert told(vouched.parent, signers=signers) == [("hoeryong/" + signature[0], "missing")]
    lines = examine(vouched, Trust.of(vouched, signers, ca)).lines
    assert "runs/0002.json.sig: is missing: runs/0002.json is not signed by any of the signers" in lines
    assert "runs/0002.json.tsr: is missing: runs/0002.json has no time stamp of any of the authorities" in lines


def test_a_newest_run_that_asks_for_less_than_one_before_is_said(vouched, desk):
    assert examine(vouched).lines[-1] == f"{vouched}: every hash agrees"
    next_run(vouched)
    found = examine(vouched)
    assert found.problems == ()
    assert found.lines[-1] == (
        f"{vouched}: every hash agrees; the newest run of hoeryong has no signature and no time stamp, earlier runs had"
    )
    assert found.document["vouched"]["hoeryong"]["lapsed"] == ["signature", "time stamp"]


def test_the_proofs_of_each_run_are_checked_whatever_the_newest_has(vouched, tmp_path, desk):
    next_run(vouched)
    (tmp_path / "others").write_text(f"x@example.org {new_key(tmp_path / 'k').with_suffix('.pub').read_text()}")
    assert (SIG, "differs") in told(vouched, signers=tmp_path / "others")
    other = authority.Authority(tmp_path / "other")
    assert (TSR, "differs") in told(vouched, tsa_ca=other.certificates)


def test_a_signed_result_does_not_pass_as_that_of_another_site(vouched, desk):
    moved = vouched.rename(vouched.with_name("elsewhere"))
    trust = Trust.of(moved, desk["signers"], desk["authority"].certificates)
    alone = examine(moved, trust)
    assert alone.problems == (), "a copy of one site may lie anywhere"
    assert alone.lines[-2].startswith("runs/0001.json of hoeryong in folder elsewhere: signed with key")
    assert alone.lines[-1] == f"{moved} (site hoeryong): every hash agrees"
    gathered = examine(moved.parent, trust)
    assert [(problem.path, problem.kind) for problem in gathered.problems] == [("elsewhere/manifest.json", "differs")]
    assert "is of site hoeryong, not elsewhere" in gathered.lines[0]
    assert "runs/0001.json of hoeryong in folder elsewhere" in gathered.lines[-2]


def test_the_name_of_an_authority_is_that_of_its_certificate_and_none_where_nobody_compared_it(tmp_path):
    made = authority.Authority(tmp_path / "nameless")
    (made.folder / "settings").write_text(authority.SETTINGS.replace("tsa_name = yes", "tsa_name = no"))
    record = tmp_path / "record"
    record.write_bytes(b"a record")
    stamp = made.stamp(record)
    trusted = read_authorities(made.certificates, "--tsa-ca")
    assert check_stamp(stamp, b"a record", trusted).authority == "CN=Test-Authority"
    assert check_stamp(stamp, b"a record", ()).authority is None
