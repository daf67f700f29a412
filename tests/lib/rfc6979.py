#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rfc6979.py KEY HASH FILE: the ECDSA signature over FILE, in DER on stdout, that RFC 6979 says for that private key
(PEM, unencrypted), computed from the standard and with nobody's library. NIST curves P-256 and P-384 only."""
import hashlib
import hmac
import re
import subprocess
import sys

CURVES = {  # p, b, G, n of SEC 2; a is p - 3
    "prime256v1": (2**256 - 2**224 + 2**192 + 2**96 - 1,
                   0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
                   (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
                    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5),
                   0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "secp384r1": (2**384 - 2**128 - 2**96 + 2**32 - 1,
                  0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
                  (0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
                   0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F),
                  0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973),
}


def add(one, other, p):
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % p == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + p - 3) * pow(2 * one[1], -1, p)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, p)
    x = (slope * slope - one[0] - other[0]) % p
    return x, (slope * (one[0] - x) - one[1]) % p


def multiply(k, point, p):
    result = None
    while k:
        if k & 1:
            result = add(result, point, p)
        point, k = add(point, point, p), k >> 1
    return result


def bits2int(data, n):
    number = int.from_bytes(data, "big")
    return number >> max(0, len(data) * 8 - n.bit_length())


def nonce(x, digest, n, name):
    """Section 3.2."""
    size = (n.bit_length() + 7) // 8
    seed = x.to_bytes(size, "big") + (bits2int(digest, n) % n).to_bytes(size, "big")
    v, k = b"\1" * len(digest), bytes(len(digest))
    for mark in (b"\0", b"\1"):
        k = hmac.digest(k, v + mark + seed, name)
        v = hmac.digest(k, v, name)
    while True:
        t = b""
        while len(t) < size:
            v = hmac.digest(k, v, name)
            t += v
        number = bits2int(t[:size], n)
        if 1 <= number < n:
            return number
        k = hmac.digest(k, v + b"\0", name)
        v = hmac.digest(k, v, name)


def der(tag, content):
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + size + content


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def main(key, name, path):
    text = subprocess.run(["openssl", "pkey", "-in", key, "-noout", "-text"], check=True, capture_output=True,
                          text=True).stdout
    p, _, g, n = CURVES[re.search(r"ASN1 OID: (\S+)", text)[1]]
    x = int(re.sub(r"[\s:]", "", re.search(r"priv:\n((?:    .*\n)+)", text)[1]), 16)
    with open(path, "rb") as file:
        digest = hashlib.new(name, file.read()).digest()
    k = nonce(x, digest, n, name)
    r = multiply(k, g, p)[0] % n
    s = pow(k, -1, n) * (bits2int(digest, n) + r * x) % n
    sys.stdout.buffer.write(der(0x30, integer(r) + integer(s)))


main(*sys.argv[1:])
