"""What others say of a message: dkimpy, pyspf, authres and OpenDMARC's library. DNS is a file with lines NAME TEXT.

    peers.py verify RECORDS                        standard input: a message; JSON: its signatures, its ARC chain
    peers.py spf RECORDS ADDRESS SENDER HELO       JSON: the result
    peers.py dmarc RECORDS AUTHOR SPF DKIM         what OpenDMARC makes of domains for which SPF and DKIM pass ("": none)
    peers.py seal RECORDS DOMAIN SELECTOR KEY SRV  standard input: a message; standard output: the same, sealed
    peers.py sign RECORDS DOMAIN SELECTOR KEY      the same, signed by l= as far as it goes now, From only once
    peers.py read RECORDS                          standard input: a header; JSON: what authres reads in each field
"""

import ctypes
import email
import json
import sys

import authres
import dkim
import spf

verb, records, arguments = sys.argv[1], {}, sys.argv[3:]
with open(sys.argv[2], encoding="ascii") as file:
    for line in file:
        name, text = line.rstrip("\n").split(" ", 1)
        records.setdefault(name.lower(), []).append(text)


def key_record(name, timeout=5):
    found = records.get(name.decode().rstrip(".").lower())
    return found[0].encode() if found else None


def verify():
    message = sys.stdin.buffer.read()
    verifier = dkim.DKIM(message)
    fields = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    signatures = []
    for index, field in enumerate(fields):
        tags = dkim.parse_tag_value(field)
        try:
            passes = dkim.DKIM(message).verify(idx=index, dnsfunc=key_record)
            why = ""
        except dkim.DKIMException as error:
            passes, why = False, str(error)
        signatures.append(
            {"passes": bool(passes), "why": why, "domain": tags[b"d"].decode(), "algorithm": tags[b"a"].decode()}
        )
    chain, sets, reason = dkim.arc_verify(message, dnsfunc=key_record)
    print(json.dumps({"dkim": signatures, "arc": (chain or b"none").decode(), "sets": len(sets), "why": reason}))


def check_spf():
    def lookup(name, kind, *_, **__):
        texts = records.get(name.rstrip(".").lower(), []) if kind == "TXT" else []
        return [((name, kind), (text.encode(),)) for text in texts]

    spf.DNSLookup = lookup
    address, sender, helo = arguments
    result, why = spf.check2(i=address, s=sender, h=helo)
    print(json.dumps({"result": result, "why": why}))


def check_dmarc():
    author, by_spf, by_dkim = (word.encode() for word in arguments)
    library = ctypes.CDLL("libopendmarc.so.2")
    library.opendmarc_policy_connect_init.restype = ctypes.c_void_p
    policy = ctypes.c_void_p(library.opendmarc_policy_connect_init(b"127.0.0.1", 4))
    passed = 1
    steps = [library.opendmarc_policy_store_from_domain(policy, author)]
    if by_spf:
        steps.append(library.opendmarc_policy_store_spf(policy, by_spf, passed, 1, b""))
    if by_dkim:
        steps.append(library.opendmarc_policy_store_dkim(policy, by_dkim, b"s", passed, b""))
    record = records["_dmarc." + author.decode()][0].encode()
    steps.append(library.opendmarc_policy_store_dmarc(policy, record, author, None))
    assert not any(steps), steps
    # dmarc.h: DMARC_POLICY_PASS, _REJECT, _QUARANTINE, _NONE.
    names = {15: "pass", 16: "reject", 17: "quarantine", 18: "none"}
    print(json.dumps({"policy": names[library.opendmarc_get_policy_to_enforce(policy)]}))


def seal():
    message = sys.stdin.buffer.read()
    domain, selector, key, server = arguments
    with open(key, "rb") as file:
        key = file.read()
    fields = dkim.arc_sign(message, selector.encode(), domain.encode(), key, server.encode())
    sys.stdout.buffer.write(b"".join(fields) + message)


def sign():
    message = sys.stdin.buffer.read()
    domain, selector, key = arguments
    with open(key, "rb") as file:
        key = file.read()
    signature = dkim.sign(
        message, selector.encode(), domain.encode(), key, include_headers=[b"from", b"subject"], length=True
    )
    sys.stdout.buffer.write(signature + message)


def read():
    fields = email.message_from_bytes(sys.stdin.buffer.read()).get_all("Authentication-Results", [])
    read = [authres.AuthenticationResultsHeader.parse("Authentication-Results: " + field) for field in fields]
    results = [[one.authserv_id, [[of.method, of.result] for of in one.results]] for one in read]
    print(json.dumps({"fields": results}))


{"verify": verify, "spf": check_spf, "dmarc": check_dmarc, "seal": seal, "sign": sign, "read": read}[verb]()
