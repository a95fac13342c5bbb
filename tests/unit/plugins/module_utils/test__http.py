# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP client against a real server that misbehaves in every way it must name."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.llmops.serving.plugins.module_utils import _http
from ansible_collections.llmops.serving.plugins.module_utils._http import (
    NOT_READY,
    Endpoint,
    HttpError,
    get_status,
    read_key,
    request_events,
    request_json,
    request_text,
    server_message,
)
from tests.unit.plugins.fake_engine import FakeEngine, Reply, as_events, as_json, chunks, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
KEY = "s3cret-key"


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as server:
        yield server


def failure(engine: FakeEngine, reply: Reply, timeout: float = 5.0) -> HttpError:
    engine.routes["POST /v1/x"] = reply
    endpoint = Endpoint(engine.url, KEY, timeout)
    with pytest.raises(HttpError) as caught:
        request_json(endpoint, "POST", endpoint.url("/x"), {"a": 1})
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_sends_json_and_key_and_gives_the_answer(engine: FakeEngine) -> None:
    engine.routes["POST /v1/x"] = as_json({"b": [1]})
    endpoint = Endpoint(engine.url + "/", KEY)
    answer = request_json(endpoint, "POST", endpoint.url("/x"), {"a": 1})
    request = engine.requests[0]
    assert answer.body == {"b": [1]}
    assert 0 < answer.seconds < 5
    assert request.json == {"a": 1}
    # vLLM and SGLang refuse a body of any other type.
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer " + KEY


def test_sends_no_key_where_none_is_given(engine: FakeEngine) -> None:
    engine.routes["GET /v1/x"] = as_json([])
    request_json(Endpoint(engine.url), "GET", engine.url + "/x")
    assert "Authorization" not in engine.requests[0].headers


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_uses_no_proxy_from_the_environment(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    engine.routes["GET /v1/x"] = as_json([])
    assert request_json(Endpoint(engine.url), "GET", engine.url + "/x").body == []


def test_reads_a_chunked_answer(engine: FakeEngine) -> None:
    engine.routes["GET /v1/x"] = Reply(chunks=(b'{"a":', b" 1}"))
    assert request_json(Endpoint(engine.url), "GET", engine.url + "/x").body == {"a": 1}


STATUSES = [
    (401, "unauthorized", "api_key"),
    (403, "forbidden", "another key"),
    (404, "not_found", "/v1"),
    (405, "not_found", "/v1"),
    (413, "too_long", "shorten"),
    (422, "bad_request", "kind of task"),
    (429, "rate_limited", "try again later"),
    (500, "server_error", "log"),
    (501, "not_supported", "flag"),
    (502, "server_error", "log"),
    (503, "unavailable", "wait until it is ready"),
]


@pytest.mark.parametrize(("status", "kind", "remedy"), STATUSES)
def test_status_names_cause_and_remedy(engine: FakeEngine, status: int, kind: str, remedy: str) -> None:
    error = failure(engine, as_json({"error": {"message": "its own words"}}, status))
    assert error.kind == kind
    assert error.status == status
    assert f"POST {engine.url}/x: HTTP {status} (its own words)" in str(error)
    assert remedy in error.remedy


# What five real engines said: file, kind, words of theirs that must reach the reader.
RECORDED = [
    ("aphrodite", "err_wrong_key.json", "unauthorized", "Unauthorized"),
    ("aphrodite", "err_not_found.json", "not_found", "Not Found"),
    ("aphrodite", "err_wrong_model.json", "model_not_found", "`no-such-model` does not exist"),
    ("aphrodite", "err_too_long.json", "too_long", "maximum context length is 512"),
    ("infinity", "err_embeddings_wrong_key.json", "unauthorized", "Unauthorized"),
    ("infinity", "err_embeddings_wrong_model.json", "model_not_found", "Available model names are"),
    ("infinity", "err_rerank_no_query.json", "bad_request", "Field required"),
    ("infinity", "embeddings.json", "not_found", "Not Found"),
    ("llama-cpp", "loading_v1_models_2.json", "unavailable", "Loading model"),
    ("llama-cpp", "err_wrong_key.json", "unauthorized", "Invalid API Key"),
    ("llama-cpp", "err_method.json", "not_found", "File Not Found"),
    ("llama-cpp", "err_embeddings_not_supported.json", "not_supported", "Start it with `--embeddings`"),
    ("llama-cpp", "err_embeddings_too_long.json", "too_long", "increase the physical batch size"),
    ("llama-cpp", "err_too_long.json", "too_long", "exceeds the available context size"),
    ("llama-cpp", "err_missing_messages.json", "bad_request", "'messages' is required"),
    ("sglang", "err_wrong_key.json", "unauthorized", "Unauthorized"),
    ("sglang", "err_embeddings_not_supported.json", "bad_request", "--is-embedding"),
    ("sglang", "err_too_long.json", "too_long", "longer than the model's context length"),
    ("sglang", "err_method.json", "not_found", "Method Not Allowed"),
    ("vllm", "err_wrong_model.json", "model_not_found", "Valid aliases: tiny"),
    ("vllm", "loading_v1_chat_completions_1.json", "server_error", "EngineCore encountered an issue"),
    ("vllm", "err_no_key.json", "unauthorized", "Unauthorized"),
]


@pytest.mark.parametrize(("name", "file", "kind", "words"), RECORDED)
def test_recorded_error_names_its_kind_and_the_engines_words(
    engine: FakeEngine, name: str, file: str, kind: str, words: str
) -> None:
    error = failure(engine, recorded(name, file))
    assert error.kind == kind
    assert words in error.seen


CONTENTS = [
    (Reply(PAGE, kind="text/html"), "html", "HTTP 200 with an HTML page"),
    (Reply(b"  " + PAGE, kind="text/plain"), "html", "HTTP 200 with an HTML page"),
    (Reply(PAGE, 502, "text/html"), "server_error", "HTTP 502 (an HTML page)"),
    (Reply(b'{"choices": [{'), "broken_json", "not JSON: {"),
    (Reply(b"\xff\xfe"), "broken_json", "not JSON"),
    (Reply(b"[" * 200_000), "broken_json", "not JSON"),
    (Reply(b""), "broken_json", "an empty body"),
    (Reply(b'{"a": 1}', length=50), "reset", "closed before the answer was complete"),
    (Reply(chunks=(b'{"a": 1}',), cut=True), "reset", "closed before the answer was complete"),
    (Reply(reset="start"), "reset", "closed before the answer was complete"),
    (
        Reply(b"{}", 307, headers={"Location": "https://other.example/v1?token=t"}),
        "redirect",
        "https://other.example/v1",
    ),
    (Reply(b"{}", 301), "redirect", "redirects to nowhere"),
    (Reply(b"{}", delay=2.0), "timeout", "no complete answer within 0.5 s"),
]


@pytest.mark.parametrize(("reply", "kind", "seen"), CONTENTS)
def test_content_names_cause_and_remedy(engine: FakeEngine, reply: Reply, kind: str, seen: str) -> None:
    error = failure(engine, reply, timeout=0.5 if reply.delay else 5)
    assert error.kind == kind
    assert seen in error.seen
    assert error.remedy
    assert "token=t" not in str(error)


def test_deadline_holds_for_a_server_that_drips(engine: FakeEngine) -> None:
    started = time.monotonic()
    error = failure(engine, Reply(b'{"a": "' + b"x" * 200 + b'"}', drip=0.1), timeout=0.6)
    assert error.kind == "timeout"
    assert time.monotonic() - started < 2


def test_too_long_an_answer_is_not_read_to_its_end(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "_LIMIT", 1000)
    assert failure(engine, Reply(b'"' + b"x" * 2000 + b'"')).kind == "too_big"
    engine.routes["POST /v1/x"] = Reply(b'"' + b"x" * 900 + b'"')
    assert request_json(Endpoint(engine.url), "POST", engine.url + "/x", {}).body == "x" * 900


def test_connection_refused() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/x"
    with pytest.raises(HttpError, match="connection refused; nothing listens there") as caught:
        request_json(Endpoint(url), "GET", url)
    assert caught.value.kind == "refused"


def test_unknown_host() -> None:
    with pytest.raises(HttpError) as caught:
        request_json(Endpoint("http://no-such-host.invalid"), "GET", "http://no-such-host.invalid/v1")
    assert caught.value.kind == "dns"


def test_a_port_that_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(HttpError) as caught:
            request_json(Endpoint(url), "GET", url)
    assert caught.value.kind == "not_http"


BAD_URLS = [
    "127.0.0.1:8000/v1",
    "ftp://127.0.0.1/v1",
    "http:///v1",
    "http://127.0.0.1:port/v1",
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1/v1?x=1",
    "http://127.0.0.1/v1#x",
    "http://127.0.0.1/v 1",
    "http://127.0.0.1/v1\r\nX: y",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_url(url: str) -> None:
    with pytest.raises(HttpError) as caught:
        request_json(Endpoint(url), "GET", url)
    assert caught.value.kind == "bad_url"


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    url = "http://user:hunter2@127.0.0.1:1/v1"
    with pytest.raises(HttpError) as caught:
        request_json(Endpoint(url), "GET", url)
    assert caught.value.kind == "bad_url"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "  ", "two\nlines", "schlüssel", "bell\x07"])
def test_bad_key_is_refused_before_anything_is_sent_and_not_repeated(engine: FakeEngine, key: str) -> None:
    with pytest.raises(HttpError) as caught:
        request_json(Endpoint(engine.url, key), "GET", engine.url + "/x")
    assert caught.value.kind == "bad_key"
    assert not engine.requests
    assert not key.strip() or key not in str(caught.value)


def test_key_is_hidden_where_the_server_repeats_it(engine: FakeEngine) -> None:
    error = failure(engine, as_json({"detail": f"wrong key {KEY}", "list": [KEY, {KEY: 1}]}, 401))
    assert KEY not in repr((str(error), error.body))
    assert failure(engine, Reply(f"no {KEY}".encode())).seen.endswith("no ********")
    error = failure(engine, Reply(status=302, headers={"Location": f"http://x/{KEY}"}))
    assert KEY not in str(error)


def test_key_is_not_in_the_endpoints_text() -> None:
    assert KEY not in repr(Endpoint("http://127.0.0.1", KEY))


def test_key_with_quotes_is_hidden_as_json_writes_it() -> None:
    assert Endpoint("http://127.0.0.1", 'a"b\\c').hide('{"key": "a\\"b\\\\c"}') == '{"key": "********"}'


def test_read_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("abc\n", encoding="utf-8")
    assert read_key(str(file)) == "abc"
    with pytest.raises(HttpError, match="No such file") as caught:
        read_key(str(tmp_path / "none"))
    assert caught.value.kind == "bad_key"
    file.write_bytes(b"\xff")
    with pytest.raises(HttpError, match="it is not text"):
        read_key(str(file))


MESSAGES = [
    ({"error": {"message": "a", "code": 400}}, "a"),
    ({"error": "b"}, "b"),
    ({"error": "overloaded", "error_type": "x"}, "overloaded"),
    ({"object": "error", "message": "c\n  d"}, "c d"),
    ({"detail": [{"msg": "e", "loc": []}, {"msg": "f"}]}, "e, f"),
    ({"error": {"message": "m" * 500}}, "m" * 297 + "..."),
    ({}, ""),
    ([], ""),
    (None, ""),
    ("plain", "plain"),
]


@pytest.mark.parametrize(("body", "said"), MESSAGES)
def test_server_message(body: object, said: str) -> None:
    assert server_message(body) == said


def test_each_remedy_can_be_told_from_what_was_seen() -> None:
    assert not [kind for kind, remedy in _http._REMEDIES.items() if "; " in remedy or "\n" in remedy]
    kinds = {kind for _, kind in _http._EXCEPTION_KINDS} | set(_http._STATUS_KINDS.values())
    assert kinds <= set(_http._REMEDIES)


# Streams


def stream(engine: FakeEngine, reply: Reply, timeout: float = 5.0) -> _http.Stream:
    engine.routes["POST /v1/x"] = reply
    return request_events(Endpoint(engine.url, KEY, timeout), engine.url + "/x", {"stream": True})


@pytest.mark.parametrize("name", ["aphrodite", "llama-cpp", "sglang", "vllm"])
@pytest.mark.parametrize("file", ["chat_stream.txt", "chat_stream_usage.txt"])
def test_recorded_streams_are_read_to_done(engine: FakeEngine, name: str, file: str) -> None:
    got = stream(engine, recorded(name, file))
    assert got.problem is None
    assert got.events[-1].data == "[DONE]"
    assert len(got.events) == recorded(name, file).body.count(b"data: ")


def test_events_carry_the_time_they_came(engine: FakeEngine) -> None:
    reply = as_events(chunks("a", "b"))
    got = stream(engine, Reply(kind=reply.kind, chunks=reply.chunks, drip=0.1))
    times = [event.seconds for event in got.events]
    assert times == sorted(times)
    assert times[2] - times[1] > 0.05
    assert got.seconds >= times[-1]


def test_events_in_all_their_spellings(engine: FakeEngine) -> None:
    body = (
        b": comment\r\nevent: x\r\ndata: a\r\n\r\n",
        b"data:b\ndata: c\n\nda",
        b"ta: \xc3",
        b"\xa4\n\n",
        b"data: tail",
    )
    got = stream(engine, Reply(kind="text/event-stream", chunks=body))
    assert [event.data for event in got.events] == ["a", "b\nc", "ä"]
    assert got.problem is None


def test_reading_ends_at_done_though_the_connection_stays_open(engine: FakeEngine) -> None:
    got = stream(engine, Reply(b"data: [DONE]\n\n", kind="text/event-stream", length=100, delay=0))
    assert got.events[-1].data == "[DONE]"
    assert got.problem is None


def test_stream_cut_off_keeps_what_came_and_says_so(engine: FakeEngine) -> None:
    got = stream(engine, as_events(chunks("a", "b")[:2], done=False, cut=True))
    assert len(got.events) == 2
    assert got.problem is not None
    assert got.problem.kind == "reset"


def test_stream_that_hangs_midway_ends_at_the_deadline(engine: FakeEngine) -> None:
    reply = as_events(chunks("a", "b"))
    got = stream(engine, Reply(kind=reply.kind, chunks=reply.chunks, drip=0.4), timeout=0.6)
    assert got.problem is not None
    assert got.problem.kind == "timeout"
    assert got.seconds < 2


BAD_STREAMS = [
    (as_json({"choices": []}), "not_stream", "a stream was asked, application/json came"),
    (Reply(PAGE, kind="text/html"), "html", "an HTML page"),
    (as_json({"detail": "Not Found"}, 404), "not_found", "HTTP 404"),
    (Reply(b"data: {}\n\n", 500, "text/event-stream"), "server_error", "HTTP 500"),
    (Reply(reset="start"), "reset", "closed"),
    (Reply(kind="text/event-stream", chunks=(), cut=True), "reset", "closed"),
]


@pytest.mark.parametrize(("reply", "kind", "seen"), BAD_STREAMS)
def test_no_stream_is_an_error(engine: FakeEngine, reply: Reply, kind: str, seen: str) -> None:
    with pytest.raises(HttpError) as caught:
        stream(engine, reply)
    assert caught.value.kind == kind
    assert seen in caught.value.seen


# Readiness


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(), 200),
        (recorded("llama-cpp", "loading_health_1.json"), NOT_READY),
        (as_json({}, 404), 404),
        (as_json({}, 500), 500),
        (Reply(reset="start"), NOT_READY),
        (Reply(delay=2), NOT_READY),
        (Reply(status=307), 307),
    ],
)
def test_get_status(engine: FakeEngine, reply: Reply, status: int | str) -> None:
    engine.routes["GET /health"] = reply
    assert get_status(engine.root + "/health", timeout=0.5) == status


def test_text_comes_as_it_is(engine: FakeEngine) -> None:
    engine.routes["GET /metrics"] = Reply(b"running 2\n", kind="text/plain; version=0.0.4")
    endpoint = Endpoint(engine.root, "the-key", 1.0)
    assert request_text(endpoint, endpoint.url("/metrics")) == "running 2\n"
    assert engine.requests[-1].headers["Authorization"] == "Bearer the-key"


@pytest.mark.parametrize("status", [302, 401, 404, 501, 503])
def test_text_of_another_status_is_none(engine: FakeEngine, status: int) -> None:
    engine.routes["GET /metrics"] = as_json({"error": "not today"}, status)
    endpoint = Endpoint(engine.root, timeout=1.0)
    with pytest.raises(HttpError) as caught:
        request_text(endpoint, endpoint.url("/metrics"))
    assert caught.value.status == status


def test_get_status_of_a_port_nobody_listens_on() -> None:
    assert get_status(f"http://127.0.0.1:{free_port()}/health") == NOT_READY


def test_get_status_names_what_waiting_does_not_heal() -> None:
    assert get_status("http://no-such-host.invalid/health") == "dns"
    assert get_status("nonsense") == "bad_url"


def test_get_status_sends_the_key(engine: FakeEngine) -> None:
    engine.routes["GET /health"] = Reply()
    get_status(engine.root + "/health", api_key=KEY)
    assert engine.requests[0].headers["Authorization"] == "Bearer " + KEY


# TLS


@pytest.fixture
def tls(tmp_path: Path, engine: FakeEngine) -> str:
    """The engine behind TLS, with a certificate of its own for 127.0.0.1 in tmp_path/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "engine")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    engine.wrap(context)
    engine.routes["GET /v1/x"] = as_json([1])
    return engine.url.replace("http://", "https://") + "/x"


def test_tls_with_its_authority(tls: str, tmp_path: Path) -> None:
    endpoint = Endpoint(tls, ca_path=str(tmp_path / "ca.pem"))
    assert request_json(endpoint, "GET", tls).body == [1]


def test_tls_unchecked(tls: str) -> None:
    assert request_json(Endpoint(tls, validate_certs=False), "GET", tls).body == [1]


def test_tls_with_an_unknown_authority(tls: str) -> None:
    with pytest.raises(HttpError, match=r"self.signed certificate; give the authority .* as ca_path") as caught:
        request_json(Endpoint(tls), "GET", tls)
    assert caught.value.kind == "tls"
    assert get_status(tls) == "tls"


def test_tls_for_another_name(tls: str, tmp_path: Path) -> None:
    url = tls.replace("127.0.0.1", "localhost")
    with pytest.raises(HttpError) as caught:
        request_json(Endpoint(url, ca_path=str(tmp_path / "ca.pem")), "GET", url)
    assert caught.value.kind == "tls"


def test_tls_asked_of_a_server_without(engine: FakeEngine) -> None:
    url = engine.url.replace("http://", "https://")
    with pytest.raises(HttpError, match="url must begin with http://") as caught:
        request_json(Endpoint(url), "GET", url)
    assert caught.value.kind == "tls"


def test_plain_http_asked_of_a_server_with_tls(tls: str) -> None:
    url = tls.replace("https://", "http://")
    with pytest.raises(HttpError, match="https://"):
        request_json(Endpoint(url), "GET", url)


def test_ca_path_that_is_no_certificate(tls: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path / "key.pem"):
        with pytest.raises(HttpError) as caught:
            request_json(Endpoint(tls, ca_path=str(path)), "GET", tls)
        assert caught.value.kind == "ca"
