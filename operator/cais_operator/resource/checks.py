# SPDX-License-Identifier: Apache-2.0
"""What strings and lists of a spec must look like; the CRD says the same."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A string must match `regex` wholly and be no longer than `longest` characters."""

    regex: str
    longest: int
    rule: str

    def allows(self, text: str) -> bool:
        """Return whether the text is allowed."""
        return len(text) <= self.longest and re.fullmatch(self.regex, text) is not None


@dataclass(frozen=True, slots=True)
class Limit:
    """A list may have at most so many items."""

    most: int


@dataclass(frozen=True, slots=True)
class Together:
    """The strings of a list may have at most so many characters, all of them together."""

    most: int


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A list must have at least so many items."""

    least: int


@dataclass(frozen=True, slots=True)
class Range:
    """An integer must be within, both ends included."""

    least: int
    most: int

    def allows(self, number: int) -> bool:
        """Return whether the number is allowed."""
        return self.least <= number <= self.most


AT_LEAST_ONE = AtLeast(1)

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SEGMENT = r"(\*\*|\*|\*?([a-z0-9._\-]\*?)+)"  # ** only by itself, as the server reads it
_KEY_SEGMENT = r"[A-Za-z0-9_\-][A-Za-z0-9._\-]*"
_CRON_FIELD = r"[0-9A-Za-z*/,\-?]+"
_CRON_WORD = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"

DNS_LABEL = Pattern(
    f"^{_LABEL}$", 63, "must be lower-case letters, digits and '-', at most 63 characters"
)
DNS_SUBDOMAIN = Pattern(
    rf"^{_LABEL}(\.{_LABEL})*$", 253, "must be a lower-case name of a Kubernetes object"
)
HOSTNAME = Pattern(
    rf"^({_LABEL}\.)+[a-z]([-a-z0-9]*[a-z0-9])?$",
    253,
    "must be a lower-case DNS name with at least one dot, such as registry.example.com",
)
OBJECT_KIND = Pattern("^[A-Z][A-Za-z0-9]*$", 63, "must be a kind of Kubernetes objects")
REGISTRY_NAME = Pattern(
    "^[a-z]([-a-z0-9]*[a-z0-9])?$",
    40,
    "must begin with a letter, hold lower-case letters, digits and '-', and be at most 40 "
    "characters long",
)
LABEL_KEY = Pattern(
    rf"^({_LABEL}(\.{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    316,
    "must be the key of a label, such as example.com/team",
)
LABEL_VALUE = Pattern(
    "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", 63, "must be the value of a label"
)
QUALIFIED = Pattern(
    rf"^{_LABEL}(\.{_LABEL})*(/[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$",
    316,
    "must be a name, with a lower-case domain and a slash before it where it has one",
)
BUCKET = Pattern(
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    63,
    "must be the name of a bucket: lower-case letters, digits, '-' and '.'",
)
BUCKET_PREFIX = Pattern(
    rf"^{_KEY_SEGMENT}(/{_KEY_SEGMENT})*$",
    200,
    "must be letters, digits, '.', '_' and '-' in segments with '/' between them, none of which "
    "begins with '.'",
)
ENDPOINT = Pattern(
    rf"^https?://({_LABEL}(\.{_LABEL})*|\[[0-9a-f:]+\])(:[0-9]{{1,5}})?$",
    300,
    "must be https://HOST or http://HOST in lower case, with :PORT where it needs one",
)
REGION = Pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63, "must be a region, such as us-east-1")
CIDR = Pattern(r"^[0-9a-f.:]+/[0-9]{1,3}$", 43, "must be a range of addresses, such as 10.0.0.0/8")
SECRET_KEY = Pattern("^[-._a-zA-Z0-9]+$", 253, "must be a key of a Secret")
REPOSITORY_GLOB = Pattern(
    f"^{_SEGMENT}(/{_SEGMENT})*$",
    255,
    "must be a repository in lower case, where * stands for anything within one path segment "
    "and ** for any number of segments, such as apps/**",
)
TAG_GLOB = Pattern(
    r"^(\*|\*?([a-zA-Z0-9._\-]\*?)+)$",
    128,
    "must be a tag, where * stands for any characters, such as v*",
)
TEXT = Pattern(r"^[!-~]([ -~]*[!-~])?$", 255, "must be printable ASCII text, 1 to 255 characters")
IDENTITY = Pattern(
    f"^{_LABEL}:[!-~]([ -~]*[!-~])?$",
    320,
    "must be ISSUER:SUBJECT, with * for any characters of the subject, such as hub:repo:acme/*",
)
TIME_ZONE = Pattern(
    r"^[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*$", 64, "must be a time zone, such as Europe/Lisbon"
)
VERSION = Pattern(
    r"^(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}(-[0-9A-Za-z][0-9A-Za-z.\-]*)?$",
    64,
    "must be a version of the server, such as 0.1.0",
)
CRON = Pattern(
    rf"^({_CRON_WORD}|{_CRON_FIELD}( {_CRON_FIELD}){{4}})$",
    100,
    "must be a cron line of five fields, such as 17 3 * * *, or @daily",
)
