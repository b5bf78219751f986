"""Delivery by mail and webhook to servers on loopback that answer, refuse, hang, redirect, want a login, speak TLS."""

import base64
import contextlib
import email
import email.policy
import http.server
import json
import shutil
import socketserver
import ssl
import subprocess
import threading
import time

import pytest
from pydantic import ValidationError

from pipeline.batches import notify
from pipeline.batches.notify import ADDRESS, PASSWORD, TOKEN, USER, channels, send
from pipeline.config import read_config
from pipeline.errors import InputError
from pipeline.notify_section import MailConfig, NotifyConfig

SECRET = "canary-mail-5a1c"  # noqa: S105 - looked for where it must not be


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(notify, "_FIRST_WAIT_S", 0.01)
    for name in (USER, PASSWORD, TOKEN, ADDRESS):
        monkeypatch.delenv(name, raising=False)


class Smtp:
    """A mail server on loopback; ``moods`` are the answers to MAIL FROM, the last one for ever.

    A mood is ``take``, ``hang``, ``drip``, ``close``, or a reply to give.
    """

    def __init__(self, *moods, user=None, tls=None, starttls=False, refuse=()) -> None:
        self.moods, self.user, self.tls, self.starttls, self.refuse = (
            list(moods or ["take"]),
            user,
            tls,
            starttls,
            refuse,
        )
        self.mails, self.said, self.logins, self.connections = [], [], [], 0
        self.stop = threading.Event()

    @contextlib.contextmanager
    def running(self):
        smtp = self

        class Talk(socketserver.BaseRequestHandler):
            def handle(self):
                smtp.connections += 1
                with contextlib.suppress(OSError, EOFError):
                    smtp.talk(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        with Server(("127.0.0.1", 0), Talk) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                self.stop.set()
                server.shutdown()
                thread.join()

    def talk(self, plain_connection):  # noqa: C901, PLR0912 - the words of a protocol, one after the other
        with contextlib.ExitStack() as closing:
            connection, secure, known = plain_connection, False, self.user is None
            if self.tls is not None and not self.starttls:
                connection, secure = closing.enter_context(self.tls.wrap_socket(connection, server_side=True)), True
            file = closing.enter_context(connection.makefile("rb"))

            def reply(*texts):
                for n, text in enumerate(texts, start=1):
                    joined = text[:3] + ("-" if n < len(texts) else " ") + text[4:]
                    connection.sendall(joined.encode() + b"\r\n")

            reply("220 here")
            while line := file.readline().decode():
                self.said.append(line.strip())
                word = line.split()[0].upper()
                if word == "EHLO":
                    offered = ["250 STARTTLS"] if self.starttls and not secure else []
                    reply("250 here", *offered, *(["250 AUTH PLAIN"] if self.user else []))
                elif word == "STARTTLS":
                    reply("220 go on")
                    connection = closing.enter_context(self.tls.wrap_socket(connection, server_side=True))
                    file, secure = closing.enter_context(connection.makefile("rb")), True
                elif word == "AUTH":
                    login = base64.b64decode(line.split()[2])
                    self.logins.append((login, secure))
                    known = login.decode().split("\0")[1:] == list(self.user)
                    reply("235 known" if known else f"535 {SECRET} is not the password of {self.user[0]}")
                elif word == "MAIL":
                    mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
                    if mood == "close" or (mood == "hang" and self.stop.wait(60)):
                        return
                    while mood == "drip":
                        connection.sendall(b"2")
                        self.stop.wait(0.1)
                    reply(mood if mood != "take" else "250 yes" if known else "530 log in first")
                elif word == "RCPT":
                    reply("550 no such one" if any(name in line for name in self.refuse) else "250 yes")
                elif word == "DATA":
                    reply("354 go on")
                    lines = []
                    while (data := file.readline()) != b".\r\n":
                        lines.append(data.removeprefix(b"."))
                    self.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                    reply("250 taken")
                elif word == "QUIT":
                    reply("221 bye")
                    return
                else:
                    reply("250 yes")


def by_mail(server, host="127.0.0.1", timeout_s=1.0, tries=3, **more):
    values = {"host": host, "port": server.port, "from": "desk@example.org", "to": ["a@example.org"], "tls": "none"}
    return NotifyConfig(mail=values | more, timeout_s=timeout_s, tries=tries)


def sent(config, subject="batch 1", body="# Batch 1\n\nÄnderung: 2.1 ha\n.\nFrom the end\n", **environment):
    (channel,) = channels(config, environment).values()
    return send(channel, subject, body)


def test_a_mail_arrives_as_it_was_written():
    with Smtp().running() as server:
        assert sent(by_mail(server, to=["a@example.org", "b@example.org"])) is None
    (mail,) = server.mails
    assert mail["Subject"] == "batch 1"
    assert (mail["From"], mail["To"]) == ("desk@example.org", "a@example.org, b@example.org")
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content().replace("\r\n", "\n") == "# Batch 1\n\nÄnderung: 2.1 ha\n.\nFrom the end\n"
    assert [line for line in server.said if line.startswith("rcpt")] == [
        "rcpt TO:<a@example.org>",
        "rcpt TO:<b@example.org>",
    ]
    assert "ehlo example.org" in server.said, "the name of this machine is nobody's business"


def test_a_subject_of_several_lines_begins_no_header():
    with Smtp().running() as server:
        assert sent(by_mail(server), subject="batch\r\nBcc: other@example.org\n\x1b[2J") is None
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "batch\\r\\nBcc: other@example.org\\n\\x1b[2J"
    assert sum(line.startswith("rcpt") for line in server.said) == 1


@pytest.mark.parametrize("key", ["from", "to"])
@pytest.mark.parametrize(
    "address",
    ["a@example.org\nBcc: b@example.org", "a@example.org, b@example.org", "A <a@example.org>", "a", "a@", "a@b\r"],
)
def test_an_address_that_is_more_than_one_is_refused(key, address):
    values = {"host": "mail.example.org", "from": "a@example.org", "to": ["a@example.org"]}
    values |= {key: address if key == "from" else [address]}
    with pytest.raises(ValidationError, match="one plain mail address"):
        MailConfig(**values)


@pytest.mark.parametrize("host", ["http://x", "x:25", "x y", "", "x\ny", "/x"])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(ValidationError, match="not the name of a host"):
        MailConfig(**{"host": host, "from": "a@example.org", "to": ["a@example.org"]})


def test_a_server_that_is_busy_is_tried_again():
    with Smtp("451 busy", "close", "take").running() as server:
        assert sent(by_mail(server)) is None
    assert len(server.mails) == 1
    assert server.connections == 3


@pytest.mark.parametrize(
    ("mood", "tries", "words"),
    [
        ("451 busy", 3, "127.0.0.1 refuses (451 busy), tried 3 times"),
        ("550 we do not know you", 1, "127.0.0.1 refuses (550 we do not know you)"),
        ("550 \x1b[31mred", 1, r"127.0.0.1 refuses (550 \x1b[31mred)"),
    ],
)
def test_a_refusal_is_told_and_only_a_passing_one_tried_again(mood, tries, words):
    with Smtp(mood).running() as server:
        assert sent(by_mail(server)) == words
    assert server.connections == tries
    assert server.mails == []


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_a_server_that_gives_no_whole_answer_is_given_up(mood):
    with Smtp(mood).running() as server:
        start = time.monotonic()
        said = sent(by_mail(server, timeout_s=0.4, tries=2))
        took = time.monotonic() - start
    assert "timed out" in said if mood == "hang" else "no whole answer in 1.2 s" in said
    assert said.endswith("tried 2 times")
    assert took < 5


def test_nobody_there_is_told_in_one_line():
    with Smtp().running() as server:
        pass
    said = sent(by_mail(server, tries=1))
    assert said.startswith("127.0.0.1 gives no answer (")
    assert "\n" not in said


def test_an_address_the_server_does_not_take_is_told_and_the_others_get_it_once():
    with Smtp(refuse=["b@"]).running() as server:
        said = sent(by_mail(server, to=["a@example.org", "b@example.org"]))
    assert said == "127.0.0.1 took it, but not for b@example.org"
    assert len(server.mails) == 1
    with Smtp(refuse=["@"]).running() as server:
        assert "refuses every address of notify.mail.to (550 no such one)" in sent(by_mail(server))


def test_a_login_is_used_and_its_refusal_does_not_tell_it():
    with Smtp(user=("someone", SECRET)).running() as server:
        assert sent(by_mail(server), **{USER: "someone", PASSWORD: SECRET}) is None
    assert len(server.mails) == 1
    with Smtp(user=("someone", "another")).running() as server:
        said = sent(by_mail(server), **{USER: "someone", PASSWORD: SECRET})
    assert said == f"127.0.0.1 refuses the login of {USER} (535)"
    assert server.connections == 1, "a wrong password is not tried again"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({USER: "someone"}, f"of {USER} and {PASSWORD} one is not set"),
        ({PASSWORD: SECRET}, f"of {USER} and {PASSWORD} one is not set"),
        ({USER: "someone", PASSWORD: SECRET}, "would be readable on its way to mail.example.org"),
    ],
)
def test_what_a_login_lacks_is_told_before_any_work(given, words):
    values = {"host": "mail.example.org", "from": "a@example.org", "to": ["a@example.org"], "tls": "none"}
    with pytest.raises(InputError, match=r"notify\.mail") as caught:
        channels(NotifyConfig(mail=values), given)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate for ``localhost`` that nobody has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def context_of(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_tls_is_spoken_with_a_certificate_that_is_trusted_only(tls, certificate, monkeypatch):
    login = {USER: "someone", PASSWORD: SECRET}
    with Smtp(user=("someone", SECRET), tls=context_of(certificate), starttls=tls == "starttls").running() as server:
        said = sent(by_mail(server, host="localhost", tls=tls), **login)
        assert said == (
            "localhost has no certificate that is accepted, or speaks no TLS on this port; check notify.mail.tls"
        )
        assert server.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert sent(by_mail(server, host="localhost", tls=tls), **login) is None
        # The certificate is for another name.
        assert "no certificate that is accepted" in sent(by_mail(server, host="127.0.0.1", tls=tls), **login)
    assert [secure for _, secure in server.logins] == [True]
    assert len(server.mails) == 1


def test_a_server_without_starttls_gets_neither_password_nor_mail():
    with Smtp(user=("someone", SECRET)).running() as server:
        said = sent(by_mail(server, tls="starttls"), **{USER: "someone", PASSWORD: SECRET})
    assert said == "127.0.0.1 offers no STARTTLS; check notify.mail.tls and the port"
    assert (server.logins, server.mails) == ([], [])


class Hook(http.server.BaseHTTPRequestHandler):
    """A web server that answers as told and keeps what it got."""

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, dict(self.headers), body))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer == "hang":
            server.stop.wait(30)
            return
        if answer == "drip":
            while not server.stop.wait(0.1):
                self.wfile.write(b"H")
            return
        self.send_response(answer)
        if answer in {301, 302, 307, 308}:
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def hook(*answers):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.got, server.answers, server.stop = [], list(answers), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/in"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.stop.set()
            server.shutdown()
            thread.join()


def by_hook(url, timeout_s=1.0, tries=3):
    return NotifyConfig(webhook={"url": url}, timeout_s=timeout_s, tries=tries)


def test_a_webhook_gets_the_summary_and_the_token():
    with hook(204) as server:
        assert sent(by_hook(server.url), body=json.dumps({"batch": 1, "name": "평양"}), **{TOKEN: SECRET}) is None
    ((path, headers, body),) = server.got
    assert path == "/in"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"batch": 1, "name": "평양"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    with hook(status) as server:
        said = sent(by_hook(server.url), **{TOKEN: SECRET})
    assert said == f"127.0.0.1 leads elsewhere ({status}); name the address itself"
    assert [path for path, _, _ in server.got] == ["/in"]


@pytest.mark.parametrize(
    ("answers", "asked", "words"), [((503, 200), 2, None), ((503,), 3, "answers 503"), ((404,), 1, "404")]
)
def test_a_busy_webhook_is_asked_again_and_one_that_refuses_is_not(answers, asked, words):
    with hook(*answers) as server:
        said = sent(by_hook(server.url))
    assert len(server.got) == asked
    assert said is None if words is None else words in said


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_webhook_that_gives_no_whole_answer_is_given_up(answer):
    with hook(answer) as server:
        start = time.monotonic()
        said = sent(by_hook(server.url, timeout_s=0.4, tries=2))
        assert time.monotonic() - start < 5
    assert said.endswith("tried 2 times")


def test_an_address_that_is_a_secret_comes_from_the_environment_and_is_never_told(monkeypatch):
    with hook(404) as server:
        secret = f"http://127.0.0.1:{server.server_port}/{SECRET}?key={SECRET}"
        config = NotifyConfig(webhook={}, timeout_s=1.0)
        said = sent(config, **{ADDRESS: secret})
    assert said == "127.0.0.1 answers 404"
    assert [path for path, _, _ in server.got] == [f"/{SECRET}?key={SECRET}"]
    assert SECRET not in sent(config, **{ADDRESS: secret}), "nor when nobody is there"
    (channel,) = channels(config, {ADDRESS: secret, TOKEN: SECRET}).values()
    assert SECRET not in repr(channel)


@pytest.mark.parametrize(
    ("url", "given", "words"),
    [
        (None, {}, f"nor is {ADDRESS}"),
        (None, {ADDRESS: f"http://hooks.example.org/{SECRET}"}, "use https"),
        (None, {ADDRESS: f"ftp://hooks.example.org/{SECRET}"}, "its value is not shown here"),
        (None, {ADDRESS: f"{SECRET}"}, "its value is not shown here"),
        (None, {ADDRESS: f"https://u:{SECRET}@hooks.example.org/"}, "its value is not shown here"),
        ("http://hooks.example.org/in", {TOKEN: SECRET}, "use https"),
    ],
)
def test_a_webhook_that_would_show_a_secret_or_is_none_is_refused_before_any_work(url, given, words):
    with pytest.raises(InputError) as caught:
        channels(NotifyConfig(webhook={"url": url}), given)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"mail": {"host": "x", "from": "a@b.org", "to": []}}, "notify.mail.to"),
        ({"mail": {"host": "x", "form": "a@b.org", "to": ["a@b.org"]}}, "did you mean 'from'"),
        ({"mail": {"host": "x", "from": "a@b.org", "to": ["a@b.org"], "password": "x"}}, "notify.mail.password"),
        ({"webhook": {"url": "https://u:p@example.org/"}}, "names a user"),
        ({"webhook": {"url": "https://example.org/?key=1"}}, "has more than a path"),
        ({"webhook": {"url": "somewhere"}}, "is no web address"),
        ({"when": "sometimes"}, "notify.when"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section, words, settings):
    with pytest.raises(InputError) as caught:
        read_config(settings(notify=section))
    assert words in str(caught.value)
    assert "u:p" not in str(caught.value)
