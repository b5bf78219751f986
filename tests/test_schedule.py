"""Batches that start by themselves: what systemd, cron and a shell make of what is written for them."""

import fcntl
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import call, environment
from hypothesis import given
from hypothesis import strategies as st

from pipeline import cli
from pipeline.config import read_config
from pipeline.errors import InputError, ProductError
from pipeline.schedule.credentials import take_credentials
from pipeline.schedule.crontab import line, times
from pipeline.schedule.install import Systemd, Wish, _called, arrange
from pipeline.schedule.plan import Plan
from pipeline.schedule.units import quoted, service, timer

ODD = '석탄 "50%" $HOME it\'s \\x'
"""A name of a folder with what systemd, cron and a shell each read otherwise."""
NO_SYSTEMD = Systemd(present=False, manager=False, call=lambda _: "")
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
locked = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")


def analysed(*words):
    """What systemd itself says of units; the user's own manager needs a folder for its run."""
    done = subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": "/run", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def words_of(value):
    """Split a value as systemd does (man systemd.service, "Command lines"), written without regard to our quoting."""
    words, word, inside, escaped = [], None, False, False
    for character in value:
        if escaped:
            word, escaped = (word or "") + character, False
        elif character == "\\":
            escaped = True
        elif character == '"':
            inside, word = not inside, word or ""
        elif character == " " and not inside:
            words, word = ([*words, word] if word is not None else words), None
        else:
            word = (word or "") + character
    return [meant(w, "%") for w in ([*words, word] if word is not None else words)]


def meant(text, sign):
    """Read a doubled sign as one; a single one would stand for something else."""
    assert not re.search(
        rf"(?<!{re.escape(sign)})(?:{re.escape(sign * 2)})*{re.escape(sign)}(?!{re.escape(sign)})", text
    ), text
    return text.replace(sign * 2, sign)


def command_of(text):
    """Words of the command a service runs; in them $ stands for variables."""
    (command,) = values(text, "ExecStart")
    return [meant(word, "$") for word in words_of(command)]


def values(text, key):
    return [found.removeprefix(f"{key}=") for found in text.splitlines() if found.startswith(f"{key}=")]


def configured(folder, **sections):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"out": "results", **sections}), encoding="utf-8")
    return path


@pytest.fixture
def plan(tmp_path):
    """A plan whose paths hold everything that has to be escaped."""
    base = tmp_path / ODD
    path = configured(base)
    (base / "results").mkdir()
    return Plan((shutil.which("env"), "true"), path, (base / "results",), (base / "aoi",), 2, "Mon *-*-* 03:00")


def written(folder, plan):
    folder.mkdir()
    (folder / "stockline.service").write_text(service(plan), encoding="utf-8")
    (folder / "stockline.timer").write_text(timer(plan), encoding="utf-8")
    return folder


@analyze
@pytest.mark.parametrize("user", [None, "root"], ids=["own", "machine"])
def test_systemd_takes_the_units_as_they_are(user, plan, tmp_path):
    folder = written(tmp_path / "units", replace(plan, user=user))
    for scope in ("--system", "--user"):
        status, said = analysed("verify", scope, folder / "stockline.service", folder / "stockline.timer")
        # Units of this machine are none of ours.
        assert not [text for text in said.splitlines() if "stockline" in text], said
        assert status == 0 or "stockline" not in said
    (folder / "stockline.service").write_text(service(plan).replace("ProtectSystem=strict", "ProtectSistem=strict"))
    assert "ProtectSistem" in analysed("verify", folder / "stockline.service")[1], "systemd would say so"


@analyze
def test_the_service_can_touch_little(plan, tmp_path):
    home = Path("/srv/stockline")
    clean = replace(plan, config=home / "config.yaml", written=(home / "results",), read=(), user="nobody")
    folder = written(tmp_path / "units", clean)
    # 1.6 of 10, where 10 is a service that may do anything; what is left is mostly the network.
    status, said = analysed("security", "--offline=true", "--threshold=16", folder / "stockline.service")
    assert status == 0, said
    bare = folder / "bare.service"
    bare.write_text("[Service]\nType=oneshot\nExecStart=/usr/bin/true\n")
    assert analysed("security", "--offline=true", "--threshold=90", bare)[0] != 0


@analyze
@pytest.mark.parametrize("at", ["*-*-* 03:00", "Mon *-*-* 03:00", "Mon..Fri *-*-* 04:30:00", "weekly"])
def test_systemd_knows_the_times(at, plan, tmp_path):
    (said,) = values(timer(replace(plan, at=at)), "OnCalendar")
    status, told = analysed("calendar", said)
    assert status == 0
    assert "Next elapse" in told


def test_every_word_arrives_as_it_is(plan):
    text = service(plan)
    assert command_of(text) == [
        "/usr/bin/flock", "--nonblock", "--no-fork", "--conflict-exit-code", "75", str(plan.config), *plan.command
    ]  # fmt: skip
    assert words_of(values(text, "ReadWritePaths")[0]) == list(map(str, plan.written))
    assert values(text, "WorkingDirectory") == [str(plan.config.parent).replace("%", "%%")]
    assert values(text, "SuccessExitStatus") == ["75 130"], "another batch at work, or stopped by hand"
    for limit in ("Nice", "IOSchedulingClass", "MemoryMax", "TimeoutStartSec", "CacheDirectory"):
        assert len(values(text, limit)) == 1
    assert values(timer(plan), "Persistent") == ["true"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_word_is_read_back_by_systemd_rules(text):
    assert words_of(quoted(text)) == [text]


@locked
def test_the_service_runs_a_batch_and_a_second_start_ends_with_75(small, tmp_path):
    home = Path(shutil.copytree(small, tmp_path / ODD))
    units = tmp_path / "units"
    done = call("schedule", "--config", home / "config.yaml", "--to", units, "--workers", "1")
    assert done.returncode == 0, done.stderr
    text = (units / "stockline.service").read_text(encoding="utf-8")
    command = command_of(text)
    # The program is that of the environment; what of it is imported is this checkout.
    ran = subprocess.run(command, env=environment(), cwd="/", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "up to date" in ran.stdout
    with Path(command[5]).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert subprocess.run(command, env=environment(), capture_output=True, check=False).returncode == 75


@locked
def test_cron_and_a_shell_run_the_line(small, tmp_path):
    home = Path(shutil.copytree(small, tmp_path / ODD))
    secret = home / "secret.env"
    secret.write_text(f"STOCKLINE_WEBHOOK_TOKEN=two words; touch {tmp_path}/ran & $(touch {tmp_path}/ran)\n")
    secret.chmod(0o600)
    done = call("schedule", "--config", home / "config.yaml", "--crontab", "--credentials", secret, "--at", "Sun 04:05")
    assert done.returncode == 0, done.stderr
    remark, text = done.stdout.splitlines()
    assert remark.startswith("# ")
    *fields, command = text.split(" ", 5)
    assert fields == ["5", "4", "*", "*", "0"]
    # As cron does it: an escaped % is one, another ends the line (man 5 crontab).
    whole = command.replace(r"\%", "\0")
    assert "%" not in whole
    ran = subprocess.run(
        ["/bin/sh", "-c", whole.replace("\0", "%")], env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "up to date" in ran.stdout
    assert ran.stderr.count("two words") == 0
    assert not (tmp_path / "ran").exists(), "no shell reads the credentials"
    assert shlex.split(whole.replace("\0", "%"))[-2:] == ["--credentials", str(secret)]


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        ("*-*-* 03:00", "0 3 * * *"),
        ("Mon *-*-* 03:00", "0 3 * * 1"),
        ("Mon,Thu 22:15:00", "15 22 * * 1,4"),
        ("Mon..Fri *-*-* 4:30", "30 4 * * 1-5"),
        ("Fri..Sun *-*-* 4:30", "30 4 * * 5-7"),
        ("*-*-01 00:10", "10 0 1 * *"),
        ("daily", "0 0 * * *"),
        ("weekly", "0 0 * * 1"),
        ("*/15 0 1 1,7 mon", "*/15 0 1 1,7 mon"),
    ],
)
def test_times_of_a_crontab(at, fields):
    assert times(at) == fields


@pytest.mark.parametrize(
    "at", ["", "noon", "Mon *-*-* 25:00", "*-*-* 03:61", "Foo 03:00", "Mon *-*-02 03:00", "1 2 3", "% 1 1 1 1"]
)
def test_times_no_crontab_knows_are_refused(at):
    with pytest.raises(InputError, match="--at"):
        times(at)


def test_without_systemd_a_line_is_printed_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    path = configured(tmp_path / "home")
    told = arrange(read_config(path), path, Wish(), NO_SYSTEMD)
    assert "systemd does not run this machine" in told[0]
    assert told[1].startswith("0 3 * * * /usr/bin/flock")
    assert not (tmp_path / "own").exists()


class Manager:
    """A service manager that notes what it is told."""

    def __init__(self, *, refuses=()) -> None:
        self.told, self.refuses = [], refuses

    def __call__(self, words) -> str:
        self.told.append(" ".join(words))
        if any(word in self.refuses for word in words):
            raise ProductError("refused")
        return ""

    @property
    def systemd(self):
        return Systemd(present=True, manager=True, call=self)


def test_own_units_are_written_started_left_and_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    folder = tmp_path / "own" / "systemd" / "user"
    path, manager = configured(tmp_path / "home"), Manager()
    told = arrange(read_config(path), path, Wish(), manager.systemd)
    assert [text.rsplit(": ", 1)[1] for text in told[:2]] == ["written", "written"]
    assert manager.told[-2:] == ["systemctl --user daemon-reload", "systemctl --user enable --now stockline.timer"]
    assert "enable-linger" in told[2]
    before = {entry: entry.read_bytes() for entry in folder.iterdir()}
    assert all("unchanged" in text for text in arrange(read_config(path), path, Wish(), manager.systemd)[:2])
    assert {entry: entry.read_bytes() for entry in folder.iterdir()} == before
    told = arrange(read_config(path), path, Wish(at="Mon 04:00"), manager.systemd)
    assert "written anew" in told[1]
    (folder / "other.service").write_text("theirs")
    told = arrange(read_config(path), path, Wish(remove=True), manager.systemd)
    assert [entry.name for entry in folder.iterdir()] == ["other.service"]
    assert "systemctl --user disable --now stockline.timer" in manager.told
    told = arrange(read_config(path), path, Wish(remove=True), manager.systemd)
    assert "holds no unit" in told[0]


def test_units_of_others_are_neither_replaced_nor_removed(tmp_path):
    path = configured(tmp_path / "home")
    theirs = tmp_path / "units" / "stockline.service"
    theirs.parent.mkdir()
    theirs.write_text("[Service]\nExecStart=/bin/true\n")
    for wish in (Wish(to=theirs.parent), Wish(to=theirs.parent, remove=True)):
        with pytest.raises(InputError, match="was not written by this command"):
            arrange(read_config(path), path, wish, NO_SYSTEMD)
    assert theirs.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_a_time_systemd_refuses_is_told(tmp_path):
    path = configured(tmp_path / "home")
    with pytest.raises(InputError, match="--at '25 oclock'"):
        arrange(read_config(path), path, Wish(at="25 oclock", to=tmp_path), Manager(refuses=["calendar"]).systemd)
    assert not list(tmp_path.glob("stockline.*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], "--workers 0: at least 1 is needed"),
        (["--at", "never"], "--at 'never': is no"),
        (["--credentials", "none.env"], "--credentials none.env: cannot be read"),
        (["--credentials", "open.env"], "others can read it (mode 644); chmod 600 open.env"),
        (["--config", "gone.yaml"], "gone.yaml: cannot be read"),
    ],
)
def test_bad_wishes_end_in_one_line_and_write_nothing(arguments, said, port, tmp_path, monkeypatch, capsys):
    shutil.copytree(port / "aoi", tmp_path / "aoi")
    configured(tmp_path)
    (tmp_path / "open.env").write_text("A=b\n")
    (tmp_path / "open.env").chmod(0o644)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["schedule", "--to", "units", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "units").exists()


def test_what_no_unit_can_hold_is_refused(plan):
    with pytest.raises(InputError, match="no unit and no crontab can hold"):
        replace(plan, config=Path("/a\nb/config.yaml"))


def test_temporary_files_are_its_own_unless_a_path_lies_there(plan):
    elsewhere = Path("/srv/stockline")
    clean = replace(plan, config=elsewhere / "config.yaml", written=(elsewhere,), read=())
    assert "PrivateTmp=yes" in service(clean)
    assert "PrivateTmp=yes" not in service(replace(clean, read=(Path("/tmp/archive"),)))  # noqa: S108
    assert line(clean).count("/srv/stockline") == 2


def test_credentials_are_named_not_held_and_read_by_the_program_alone(plan):
    text = service(replace(plan, credentials=Path("/etc/stockline 1%.env")))
    assert values(text, "EnvironmentFile") == []
    assert command_of(text)[-2:] == ["--credentials", "/etc/stockline 1%.env"]


@pytest.mark.parametrize(
    "value",
    ["two words", "a$b", "x&touch X", "$(id)", "`id`", "a'b", '"', "\\n\\", "#", "a=b", "a;b #c", "", "pass{}|<>*?~"],
)
def test_values_of_credentials_are_taken_to_the_letter(value, tmp_path, monkeypatch):
    path = tmp_path / "secret.env"
    path.write_text(f"# of the mail server\n\nSTOCKLINE_MAIL_PASSWORD={value}\nSTOCKLINE_MAIL_USER=desk\n")
    path.chmod(0o600)
    monkeypatch.setenv("STOCKLINE_MAIL_PASSWORD", "former")
    monkeypatch.setenv("STOCKLINE_MAIL_USER", "former")
    take_credentials(path)
    assert (os.environ["STOCKLINE_MAIL_PASSWORD"], os.environ["STOCKLINE_MAIL_USER"]) == (value, "desk")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=secret\nexport B=secret\n", "line 2: is not NAME=value"),
        ("secret", "line 1: is not NAME=value"),
        ("A =secret", "line 1: is not NAME=value"),
        ("1A=secret", "line 1: is not NAME=value"),
        ("A='secret'", "line 1: its value stands in quotes"),
        ('A="secret"', "line 1: its value stands in quotes"),
        ("A= secret", "line 1: its value begins or ends with a blank"),
        ("A=secret\r\n", "line 1: its value begins or ends with a blank"),
        ("A=secr\x07et", "line 1: its value begins or ends with a blank, or holds a control character"),
        ("A=secret\nA=secret2\n", "line 2: gives a name a second time"),
        ("A=\udcffsecret", "is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("command", ["run", "schedule"])
def test_lines_of_credentials_that_may_mean_something_else_are_refused(text, said, command, tmp_path, port, capsys):
    shutil.copytree(port / "aoi", tmp_path / "aoi")
    path, config = tmp_path / "secret.env", configured(tmp_path)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    more = ["--to", str(tmp_path / "units")] if command == "schedule" else []
    assert cli.main([command, "--config", str(config), "--credentials", str(path), *more]) == 2
    err = capsys.readouterr().err
    assert f"--credentials {path}: {said}" in err
    assert "secr" not in err.replace(str(path), "")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "units").exists()


def test_the_service_of_a_machine_can_read_its_credentials(tmp_path, monkeypatch):
    path, config = tmp_path / "secret.env", configured(tmp_path)
    path.write_text("A=b\n")
    path.chmod(0o600)
    monkeypatch.setenv("SUDO_USER", "nobody" if path.owner() != "nobody" else "root")
    wish = Wish(to=tmp_path / "units", system=True, credentials=path)
    with pytest.raises(InputError, match=r"the batch runs as .*, who cannot read it; chown"):
        arrange(read_config(config), config, wish, NO_SYSTEMD)


@analyze
@pytest.mark.parametrize("at", ["*-02-30 03:00", "2020-01-01 03:00"])
def test_a_time_that_never_comes_is_refused(at, tmp_path):
    path = configured(tmp_path / "home")
    with pytest.raises(InputError, match="is a time that never comes, or is over"):
        arrange(read_config(path), path, Wish(at=at, to=tmp_path / "units"), replace(NO_SYSTEMD, call=_called))
    assert not (tmp_path / "units").exists()
