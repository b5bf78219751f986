"""A time stamping authority on loopback, made by ``openssl``: its answers can be spoilt in every way a test needs."""

import contextlib
import http.server
import shutil
import subprocess
import threading

SETTINGS = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = Test Root
[v3_ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[v3_tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256,sha512
tsa_name = yes
ess_cert_id_alg = sha256
"""


def missing():
    """Why there can be no authority here; None where there can."""
    return None if shutil.which("openssl") else "openssl is not installed"


class Authority:
    """Keys and certificates of one authority in a folder, and how it answers."""

    def __init__(self, folder, days=30) -> None:
        self.folder, self.spoil, self.status, self.asked = folder, lambda answer: answer, 200, []
        folder.mkdir(parents=True)
        (folder / "settings").write_text(SETTINGS)
        (folder / "serial").write_text("01\n")
        key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        self._openssl(f"req -x509 {key} -keyout ca.key -out ca.pem -days 30 -config settings -extensions v3_ca")
        self._openssl(f"req {key} -keyout tsa.key -out tsa.csr -config settings -subj /CN=Test-Authority")
        self._openssl(
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem "
            f"-days {days} -extfile settings -extensions v3_tsa"
        )

    @property
    def certificates(self):
        """What its stamps lead up to."""
        return self.folder / "ca.pem"

    def answer(self, query):
        """Stamp what is asked."""
        (self.folder / "query").write_bytes(query)
        signed_by = "-signer tsa.pem -inkey tsa.key"
        self._openssl(f"ts -reply -config settings -section tsa -queryfile query {signed_by} -out reply")
        return (self.folder / "reply").read_bytes()

    def stamp(self, path):
        """Stamp a file, as anybody could have it done."""
        self._openssl(f"ts -query -data {path} -sha256 -cert -out query")
        return self.answer((self.folder / "query").read_bytes())

    def _openssl(self, words):
        done = subprocess.run(["openssl", *words.split()], cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    @contextlib.contextmanager
    def running(self):
        """Answer on loopback; gives the address."""
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked.append((self.headers["Content-Type"], query))
                answer = authority.spoil(authority.answer(query))
                self.send_response(authority.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/tsa"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
