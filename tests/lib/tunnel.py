# tunnel.py COMMANDS CAFILE CERTFILE KEYFILE [CASE..]: the whole path client, sslserver, tcpclient and relay, backend. Client and backend are both here,
# so that each knows what the other did. Prints "ok CASE" or "not ok CASE: why" for each, and "log LINE" of the listener for what failed.
# Python's own TLS is on memory, so that either direction of a connection can be ended alone.
import hashlib, os, random, resource, select, signal, socket, ssl, struct, subprocess, sys, tempfile, threading, time

COMMANDS, CAFILE, CERTFILE, KEYFILE = sys.argv[1:5]
CONTEXT = ssl.create_default_context(cafile=CAFILE)
RESET = struct.pack("ii", 1, 0)
PATIENCE = 20


class Client:
    """A TLS connection. read gives b"" at the end, and says by self.clean whether that was a close_notify, by self.alert the fatal alert in its place."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = CONTEXT.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.lock = threading.Lock()
        self.clean = self.alert = self.failure = None
        self.early = []  # what had come before end_writing
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.fetch()
        self.flush()

    def flush(self):
        while self.outgoing.pending:
            self.socket.sendall(self.outgoing.read())

    def fetch(self):
        piece = self.socket.recv(65536)
        with self.lock:
            if piece:
                self.incoming.write(piece)
            else:
                self.incoming.write_eof()

    def write(self, data):
        for at in range(0, len(data), 16384):
            with self.lock:
                self.tls.write(data[at:at + 16384])
                records = self.outgoing.read()
            self.socket.sendall(records)

    def end_writing(self):
        with self.lock:
            try:
                while True:  # Python waits for the peer's close_notify at once, and would throw this away
                    self.early.append(self.tls.read(65536))
                    if not self.early[-1]:
                        break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:  # an alert that came with the end of the handshake: OpenSSL tells it once
                self.failure = error
            try:
                self.tls.unwrap()
            except (ssl.SSLWantReadError, ssl.SSLError):
                pass
            records = self.outgoing.read()
        self.socket.sendall(records)

    def read(self):
        while True:
            with self.lock:
                try:
                    if not self.early and self.failure:
                        raise self.failure
                    piece = self.early.pop(0) if self.early else self.tls.read(65536)
                    if not piece:
                        self.clean = True
                    return piece
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    self.clean = True
                    return b""
                except ssl.SSLEOFError:
                    self.clean = False
                    return b""
                except ssl.SSLError as error:
                    if "ALERT" not in (error.reason or ""):
                        raise
                    self.clean, self.alert = False, error.reason
                    return b""
            self.fetch()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def close(self):
        self.socket.close()


class Plain:
    """The backend's end, with the same words."""

    def __init__(self, accepted):
        self.socket = accepted
        accepted.settimeout(PATIENCE)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.write = accepted.sendall
        self.close = accepted.close

    def read(self):
        return self.socket.recv(65536)

    def end_writing(self):
        self.socket.shutdown(socket.SHUT_WR)

    reset = Client.reset


def read_all(end):
    total, digest = 0, hashlib.sha256()
    while True:
        piece = end.read()
        if not piece:
            return total, digest.hexdigest()
        total += len(piece)
        digest.update(piece)


def read_n(end, n):
    got = b""
    while len(got) < n:
        piece = end.read()
        if not piece:
            break
        got += piece
    return got


class Listener:
    """sslserver with the tunnel behind it."""

    def __init__(self, backend, port=0, limit=40, options=()):
        self.log = tempfile.TemporaryFile("w+")
        environment = dict(os.environ, CERTFILE=CERTFILE, KEYFILE=KEYFILE, TLS_LINGER="5", TLS_RESET="1")
        command = [COMMANDS + "/sslserver", "-1v", "-c", str(limit), "-T", "4", *options, "127.0.0.1", str(port), COMMANDS + "/tcpclient", "-RHl0",
                   "127.0.0.1", str(backend), COMMANDS + "/relay"]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True)
        self.port = int(self.process.stdout.readline() or 0)
        assert self.port, self.lines()

    def lines(self):
        self.log.seek(0)
        return self.log.read().splitlines()

    def group(self):
        found = []
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/stat" % pid) as stat:
                        name, fields = stat.read().rsplit(")", 1)
                except OSError:
                    continue
                if int(fields.split()[2]) == self.process.pid:
                    found.append(name)
        return found

    def descriptors(self):
        return sorted(os.listdir("/proc/%d/fd" % self.process.pid))

    def quiet(self, seconds=15):
        """Waits until nothing but the listener is left."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if len(self.group()) <= 1:
                return True
            time.sleep(0.05)
        raise AssertionError("left behind: %s" % self.group())

    def processor_time(self):
        ticks = 0
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/stat" % pid) as stat:
                        fields = stat.read().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(fields[2]) == self.process.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(5)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return code


backend = socket.create_server(("127.0.0.1", 0), backlog=200)
backend.settimeout(PATIENCE)
BACKEND = backend.getsockname()[1]
listener = Listener(BACKEND)


def pair():
    client = Client(listener.port)
    return client, Plain(backend.accept()[0])


class Worker(threading.Thread):
    """A function that runs beside; its result, or its exception where that is asked for."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.function, self.arguments, self.result, self.error = function, arguments, None, None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.arguments)
        except Exception as error:
            self.error = error

    def get(self, seconds=PATIENCE):
        self.join(seconds)
        assert not self.is_alive(), "still busy"
        if self.error:
            raise self.error
        return self.result


def send_and_end(end, data, sizes=(len,)):
    at = 0
    for i in range(1 << 30):
        if at >= len(data):
            break
        size = sizes[i % len(sizes)]
        size = len(data) if size is len else size
        end.write(data[at:at + size])
        at += size
    end.end_writing()


DATA = random.Random(1).randbytes(12_000_001)
DIGEST = len(DATA), hashlib.sha256(DATA).hexdigest()
SMALL = DATA[:4096]


def same(got, wanted, what):
    assert got == wanted, "%s: %r, not %r" % (what, str(got)[:100], str(wanted)[:100])


# ---- the cases ----

def half_close_with_delayed_return_traffic():
    for first in 0, 1:
        ends = pair()
        one, other = ends[first], ends[1 - first]
        one.write(b"question")
        one.end_writing()
        same(read_all(other)[0], 8, "the question")
        before = listener.processor_time()
        time.sleep(1)
        assert listener.processor_time() - before <= 5, "spins while half-closed"
        other.write(b"late answer")
        other.end_writing()
        same(read_all(one)[0], 11, "the answer")
        if first == 0:
            assert one.clean, "no close_notify"
        for end in ends:
            end.close()


def large_transfers_with_immediate_half_close():
    for sender in 0, 1:
        ends = pair()
        work = Worker(send_and_end, ends[sender], DATA)
        same(read_all(ends[1 - sender]), DIGEST, "what came")
        work.get()
        ends[1 - sender].end_writing()
        same(read_all(ends[sender])[0], 0, "the other direction")
        for end in ends:
            end.close()


def both_directions_at_once():
    client, server = pair()
    work = [Worker(send_and_end, client, DATA, (65536, 1, 1400, 100000)), Worker(send_and_end, server, DATA, (1400, 16384, 7, 200000))]
    readers = [Worker(read_all, client), Worker(read_all, server)]
    for reader in readers:
        same(reader.get(), DIGEST, "what came")
    for sender in work:
        sender.get()
    assert client.clean, "no close_notify"
    client.close()
    server.close()


def one_byte_and_odd_writes():
    for sender in 0, 1:
        ends = pair()
        work = Worker(send_and_end, ends[sender], SMALL, (1,) if sender else (1, 2, 3, 7, 13))
        same(read_all(ends[1 - sender])[1], hashlib.sha256(SMALL).hexdigest(), "what came")
        work.get()
        for end in ends:
            end.close()
    client, server = pair()
    for i in range(200):
        client.write(b"a")
        same(read_n(server, 1), b"a", "a byte")
        server.write(b"b")
        same(read_n(client, 1), b"b", "a byte back")
    client.close()
    server.close()


def close_without_close_notify():
    """A bare FIN is an end (there is no -J here)."""
    client, server = pair()
    client.write(b"last words")
    client.socket.shutdown(socket.SHUT_WR)
    same(read_n(server, 10), b"last words", "what came before")
    same(read_all(server)[0], 0, "then the end")
    server.close()
    client.close()


def flow_until_error(end, sending):
    try:
        while True:
            if sending:
                end.write(DATA[:65536])
            elif not end.read():
                return getattr(end, "alert", None) or "end"
    except OSError as error:
        return error.__class__.__name__


def reset_from_either_side():
    for resetter in 0, 1:
        for sending in (True, False), (False, True), (True, True):
            ends = pair()
            one, other = ends[resetter], ends[1 - resetter]
            flows = []
            for who, does in zip((one, other), sending):
                if does:
                    flows.append(Worker(flow_until_error, who, True))
            if sending[0]:
                read_n(other, 500_000)
            if sending[1]:
                read_n(one, 500_000)
            one.reset()
            flows.append(Worker(flow_until_error, other, False))
            for flow in flows:
                flow.get()
            if not sending[1]:  # who has sent nothing learns it by what comes
                same(flow.result, "TLSV1_ALERT_INTERNAL_ERROR" if resetter else "ConnectionResetError", "the reset")
            other.close()
            listener.quiet()
    said = [line for line in listener.lines() if line.startswith("relay: error: ")]
    assert len(said) >= 3, "the log says nothing of resets by the backend"


def backend_of_another_kind(serve, check):
    """A tunnel to a backend that does what serve does with each connection."""
    global listener
    odd = socket.create_server(("127.0.0.1", 0))
    odd.settimeout(0.2)
    stop = threading.Event()

    def loop():
        n = 0
        while not stop.is_set():
            try:
                accepted = odd.accept()[0]
            except TimeoutError:
                continue
            threading.Thread(target=serve, args=(accepted, n), daemon=True).start()
            n += 1

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    kept, listener = listener, Listener(odd.getsockname()[1])
    try:
        check()
        listener.quiet()
    except Exception:
        print("log", *listener.lines()[-12:], sep="\nlog ")
        raise
    finally:
        stop.set()
        thread.join()
        odd.close()
        listener.end()
        listener = kept


def ask(text=b"hello", broken=(None,)):
    """What comes back, in good order or behind one of the alerts that are named."""
    client = Client(listener.port)
    client.write(text)
    client.end_writing()
    got = b""
    try:
        while True:
            piece = client.read()
            if not piece:
                break
            got += piece
    finally:
        client.close()
    assert client.alert in broken and client.clean == (client.alert is None), "alert %s, close_notify %s" % (client.alert, client.clean)
    return got


BROKEN = "TLSV1_ALERT_INTERNAL_ERROR",


def echo(accepted, n, delay=0):
    accepted.settimeout(PATIENCE)
    time.sleep(delay)
    while True:
        piece = accepted.recv(65536)
        if not piece:
            break
        accepted.sendall(piece)
    accepted.close()


def reset_at_once(accepted, n):
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    accepted.close()


def flapping(accepted, n):
    (reset_at_once if n % 2 else echo)(accepted, n)


def backend_down():
    global listener
    unused = socket.create_server(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    unused.close()
    kept, listener = listener, Listener(port)
    try:
        for i in range(5):
            same(ask(broken=BROKEN), b"", "an answer")
        listener.quiet()
        said = sum("unable to connect to 127.0.0.1 port %d: Connection refused" % port in line for line in listener.lines())
        same(said, 5, "lines of the log")
        same(sum(line.endswith("status 28416") for line in listener.lines()), 5, "ends by exit 111")
    finally:
        listener.end()
        listener = kept


def backend_resetting():
    def check():
        for i in range(10):
            same(ask(broken=BROKEN), b"", "an answer")
    backend_of_another_kind(reset_at_once, check)


def backend_flapping():
    def check():
        answers = [ask(broken=BROKEN if i % 2 else (None,)) for i in range(20)]
        assert answers.count(b"hello") >= 9 and set(answers) <= {b"", b"hello"}, answers
    backend_of_another_kind(flapping, check)


def backend_slow():
    def check():
        clients = [Worker(ask) for i in range(5)]
        for client in clients:
            same(client.get(), b"hello", "an answer")
    backend_of_another_kind(lambda accepted, n: echo(accepted, n, 1.5), check)


def backend_that_reads_nothing():
    """Bounded: the client's sending stops, and its end is an end."""
    client, server = pair()
    client.socket.settimeout(1)
    try:
        while True:
            client.write(DATA[:65536])
    except TimeoutError:
        pass
    client.reset()
    server.close()


def churn():
    def check():
        for i in range(20):
            same(ask(), b"hello", "warm")
        listener.quiet()
        before = listener.descriptors()

        def some():
            for i in range(50):
                same(ask(SMALL), SMALL, "an answer")
        for work in [Worker(some) for i in range(4)]:
            work.get(60)
        listener.quiet()
        same(listener.descriptors(), before, "descriptors")
        ends = [line for line in listener.lines() if line.startswith("sslserver: ended by ")]
        assert len(ends) == 220 and all(line.endswith(" status 0") for line in ends), "ends: %d" % len(ends)
    backend_of_another_kind(echo, check)


def floods_while_honest_clients_are_served():
    def check():
        silent = [socket.create_connection(("127.0.0.1", listener.port)) for i in range(10)]

        def garbage():
            for i in range(60):
                with socket.create_connection(("127.0.0.1", listener.port), PATIENCE) as rough:
                    try:
                        rough.sendall(b"GET / HTTP/1.0\r\n\r\n" if i % 2 else bytes(range(128, 256)))
                        rough.recv(100)
                    except OSError:
                        pass
        rough = [Worker(garbage) for i in range(2)]
        longest = 0
        for i in range(40):
            began = time.monotonic()
            same(ask(), b"hello", "an answer")
            longest = max(longest, time.monotonic() - began)
        assert longest < 5, "an honest client waited %.1f s" % longest
        for work in rough:
            work.get(60)
        listener.quiet()  # the silent ones are ended by -T
        for one in silent:
            one.close()
    backend_of_another_kind(echo, check)


def descriptor_exhaustion():
    def check():
        same(ask(), b"hello", "an answer")  # it has begun to serve
        listener.quiet()
        before = listener.descriptors()
        hard = resource.prlimit(listener.process.pid, resource.RLIMIT_NOFILE)[1]
        for limit in range(4, 14, 2):
            resource.prlimit(listener.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
            began = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", listener.port), 1) as rough:
                    rough.settimeout(0.5)
                    rough.recv(1)
            except OSError:
                pass
            resource.prlimit(listener.process.pid, resource.RLIMIT_NOFILE, (256, hard))
            same(ask(), b"hello", "an answer after %d descriptors" % limit)
        assert any("Too many open files" in line for line in listener.lines()), "it never ran out"
        listener.quiet()
        same(listener.descriptors(), before, "descriptors")
    backend_of_another_kind(echo, check)


def listener_restarted_under_load():
    global listener

    def check():
        global listener
        stop = threading.Event()
        port, target = listener.port, int(listener.process.args[-2])

        def pump():
            """One connection over all restarts: not a byte is lost."""
            client = Client(port)
            sent = 0
            while not stop.is_set():
                client.write(SMALL)
                sent += 1
                same(read_n(client, len(SMALL)), SMALL, "the echo")
            client.end_writing()
            same(read_all(client)[0], 0, "the end")
            assert client.clean
            client.close()
            return sent
        pumps = [Worker(pump) for i in range(5)]
        time.sleep(0.5)
        generations = []
        for i in range(3):
            same(listener.process.poll(), None, "the listener")
            listener.process.terminate()
            same(listener.process.wait(5), 0, "its exit code")
            generations.append(listener)
            listener = Listener(target, port)
            same(listener.port, port, "the port")
            same(ask(), b"hello", "a new client")
        stop.set()
        for one in pumps:
            assert one.get() > 0
        for old in generations:
            until = time.monotonic() + 10
            while old.group() and time.monotonic() < until:
                time.sleep(0.05)
            same(old.group(), [], "of an old listener")
            old.end()
    backend_of_another_kind(echo, check)


only = sys.argv[5:]
CASES = [half_close_with_delayed_return_traffic, large_transfers_with_immediate_half_close, both_directions_at_once, one_byte_and_odd_writes,
         close_without_close_notify, reset_from_either_side, backend_down, backend_resetting, backend_flapping, backend_slow, backend_that_reads_nothing,
         churn, floods_while_honest_clients_are_served, descriptor_exhaustion, listener_restarted_under_load]

try:
    for case in CASES:
        words = case.__name__.replace("_", " ")
        if only and words not in only:
            continue
        began = time.monotonic()
        try:
            case()
            listener.quiet()
            print("ok %s (%.1f s)" % (words, time.monotonic() - began), flush=True)
        except Exception as error:
            print("not ok %s: %s %s" % (words, error.__class__.__name__, error), flush=True)
            for line in listener.lines()[-20:]:
                print("log", line)
    print("ok the listener ends" if listener.end() == 0 else "not ok the listener ends")
finally:
    listener.end()
