"""What dkimpy says of messages, and messages that it signed or sealed. Keys come from a file, never from DNS.

    dkimpy.py verify RECORDS DIRECTORY                          one line for each message: name, DKIM, ARC
    dkimpy.py sign DIRECTORY DOMAIN SELECTOR KEY ALGORITHM FORM  writes NAME.signed beside each NAME
    dkimpy.py seal DIRECTORY DOMAIN SELECTOR KEY SERVER          writes NAME.sealed beside each NAME
"""

import os
import sys

import dkim


def messages(directory):
    for name in sorted(os.listdir(directory)):
        if name.endswith(".eml"):
            with open(os.path.join(directory, name), "rb") as file:
                yield name, file.read()


def write(directory, name, content):
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)


def verify(records, directory):
    known = {}
    with open(records, "rb") as file:
        for line in file:
            name, record = line.rstrip(b"\n").split(b" ", 1)
            known[name + b"."] = record

    def lookup(name, timeout=5):
        return known.get(name if name.endswith(b".") else name + b".")

    for name, message in messages(directory):
        words = []
        try:
            verifier = dkim.DKIM(message)
            count = sum(1 for field, _ in verifier.headers if field.lower() == b"dkim-signature")
            for index in range(count):
                try:
                    words.append("pass" if verifier.verify(idx=index, dnsfunc=lookup) else "fail")
                except dkim.DKIMException as error:
                    words.append("error:" + str(error).replace(" ", "_").replace("\n", "_"))
            chain, _, reason = dkim.arc_verify(message, dnsfunc=lookup)
            chain = (chain or b"none").decode() + ":" + reason.replace(" ", "_")
        except dkim.MessageFormatError as error:
            words, chain = ["unreadable"], "unreadable:" + str(error).replace(" ", "_").replace("\n", "_")
        print(name, ",".join(words) or "none", chain)


def sign(directory, domain, selector, key, algorithm, form):
    with open(key, "rb") as file:
        key = file.read().strip()
    canonicalize = tuple(word.encode() for word in form.split("/"))
    for name, message in messages(directory):
        signature = dkim.sign(
            message, selector.encode(), domain.encode(), key,
            canonicalize=canonicalize, signature_algorithm=algorithm.encode(),
        )
        write(directory, name + ".signed", signature + message)


def seal(directory, domain, selector, key, server):
    with open(key, "rb") as file:
        key = file.read().strip()
    for name, message in messages(directory):
        fields = dkim.arc_sign(message, selector.encode(), domain.encode(), key, server.encode())
        write(directory, name + ".sealed", b"".join(fields) + message)


{"verify": verify, "sign": sign, "seal": seal}[sys.argv[1]](*sys.argv[2:])
