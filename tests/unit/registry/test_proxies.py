"""The proxy of a URL is the one that Go would take: what each row expects is what its httpproxy package answered."""

from __future__ import annotations

import pytest

from scripts.core.errors import ConfigError
from scripts.registry.proxies import proxy_for

PROXY = "http://proxy:3128"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("host", "no_proxy", "spared"),
    [
        ("registry.example.com", "", False),
        ("registry.example.com", "*", True),
        ("registry.example.com", "example.com", True),
        ("registry.example.com", " other.org , EXAMPLE.com", True),
        ("registry.example.com", ".example.com", True),
        ("registry.example.com", "*.example.com", True),
        ("registry.example.com", "*example.com", False),
        ("registry.example.com", "com", True),
        ("example.com", "example.com", True),
        ("example.com", ".example.com", False),
        ("EXAMPLE.com", "example.com", True),
        ("example.com.", "example.com", False),
        ("notexample.com", "example.com", False),
        ("registry.example.com", "ample.com", False),
        ("registry.example.com", "http://example.com", False),
        ("registry.example.com:5000", "registry.example.com:5000", True),
        ("registry.example.com", "registry.example.com:5000", False),
        ("registry.example.com:5000", "registry.example.com", True),
        ("registry.example.com", ":5000", False),
        ("localhost", "", True),
        ("localhost:5000", "", True),
        ("127.0.0.1:5000", "", True),
        ("127.1.2.3", "", True),
        ("[::1]:5000", "", True),
        ("a.localhost", "", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3:5000", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.0/24,*.com", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:5000", "10.1.2.3:5000", True),
        ("10.1.2.3", "10.1.2.3:5000", False),
        ("10.1.2.3", "10.1.2.3/33", False),
        ("registry.example.com", "0.0.0.0/0", False),
        ("[2001:db8::1]", "2001:db8::/32", True),
        ("[2001:db8::1]:5000", "2001:db8::1", True),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000", True),
        ("[2001:db8::1]", "[2001:db8::1]", False),
        ("10.1.2.3", "10.0.0.0/255.0.0.0", False),
        ("[::ffff:10.1.2.3]", "10.0.0.0/8", True),
        ("[::ffff:127.0.0.1]", "", True),
        ("10.1.2.3", "::ffff:10.1.0.0/112", True),
        ("10.1.2.3", "::ffff:10.1.2.3", True),
        ("10.1.2.3", "::ffff:10.1.0.0/90", False),
        ("10.1.2.3", "::/0", False),
        ("[fe80::1%25eth0]:5000", "fe80::1%eth0", False),
        ("10.1.2.3:5000", "[::ffff:10.1.2.3]:5000", True),
        ("[2001:db8::1]:5000", "[2001:DB8:0::1]:5000", True),
        ("xn--mnchen-3ya.de", "MÜNCHEN.de", True),
        ("a.xn--mnchen-3ya.de:5000", "x..ü,.münchen.de:5000", True),
        ("xn--mnchen-3ya.de", "mün chen.de", False),
    ],
)
def test_no_proxy(scheme: str, host: str, no_proxy: str, spared: bool) -> None:
    environ = {f"{scheme.upper()}_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert proxy_for(f"{scheme}://{host}/v2/", environ) == (None if spared else PROXY)


def test_the_port_that_is_not_said() -> None:
    for scheme, port in (("http", 80), ("https", 443)):
        environ = {f"{scheme.upper()}_PROXY": PROXY, "NO_PROXY": f"example.com:{port}"}
        assert proxy_for(f"{scheme}://example.com/", environ) is None
        assert proxy_for(f"{scheme}://example.com:8080/", environ) == PROXY


class TestWhere:
    URL = "https://example.com/v2/"

    @pytest.mark.parametrize(
        ("environ", "proxy"),
        [
            ({}, None),
            ({"HTTP_PROXY": "http://other"}, None),
            ({"ALL_PROXY": "http://other"}, None),
            ({"https_proxy": "http://lower"}, "http://lower"),
            ({"https_proxy": "http://lower", "HTTPS_PROXY": "http://upper"}, "http://upper"),
            ({"HTTPS_PROXY": "", "https_proxy": "http://lower"}, "http://lower"),
            ({"HTTPS_PROXY": "http://upper", "no_proxy": "example.com"}, None),
            ({"HTTPS_PROXY": "http://upper", "NO_PROXY": "other.org", "no_proxy": "example.com"}, "http://upper"),
            ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
            ({"HTTPS_PROXY": "proxy"}, "http://proxy"),
            ({"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
            ({"HTTPS_PROXY": "https://u:p@proxy:1"}, "https://u:p@proxy:1"),
            ({"HTTPS_PROXY": "http://u:p@s:$%5E!@proxy:1"}, "http://u:p@s:$%5E!@proxy:1"),
            ({"HTTPS_PROXY": "socks5://proxy:1080"}, "socks5://proxy:1080"),
            ({"HTTPS_PROXY": "socks5h://proxy"}, "socks5h://proxy"),
            ({"HTTPS_PROXY": "ftp://u:p@proxy:3128"}, "http://u:p@proxy:3128"),  # what it does not know is HTTP for Go
        ],
        ids=str,
    )
    def test_it_stands(self, environ: dict[str, str], proxy: str | None) -> None:
        assert proxy_for(self.URL, environ) == proxy

    def test_not_in_a_cgi_program(self) -> None:
        assert proxy_for("http://example.com/", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}) is None
        assert proxy_for(self.URL, {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}) == PROXY

    @pytest.mark.parametrize(
        "value",
        [
            "ftp://proxy",
            "http://",
            "://x",
            "http://me:s3cret@p:99999",
            "proxy:x",
            " http://p:1",
            "// p:1",
            "%70:1",
            "http://me:s3cret^@p:1",
            "http://me:s3cret%@p:1",
            "http://me:s3cret\u00fc@p:1",
            "http://p:1\n",
        ],
    )
    def test_what_is_no_proxy(self, value: str) -> None:
        with pytest.raises(ConfigError, match="HTTPS_PROXY holds no proxy") as caught:
            proxy_for(self.URL, {"HTTPS_PROXY": value})
        assert "s3cret" not in str(caught.value)
