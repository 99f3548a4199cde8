"""The status page in a real browser: it draws, fills its tables, escapes what it shows, and says when it is alone.

EBB_SCREENSHOTS=DIR keeps pictures.
"""
import os
import tempfile
import unittest

from driver import Browser, DemoServer, wait_for

# Pixels of the chart's canvas whose colour is nearest to each line's.
COLOURS = """
const wanted = arguments[0].map((name) => {
  const probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
});
const found = wanted.map(() => 0);
for (const canvas of document.querySelectorAll('#chart canvas')) {
  if (canvas.width === 0) continue;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 200) continue;
    wanted.forEach((w, n) => {
      if (Math.abs(data[i] - w[0]) + Math.abs(data[i + 1] - w[1]) + Math.abs(data[i + 2] - w[2]) < 24) found[n] += 1;
    });
  }
}
return found;
"""
EVIL = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"


class Page(unittest.TestCase):
    def setUp(self):
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def serve(self, *args):
        server = DemoServer(*args)
        self.addCleanup(server.stop)
        return server

    def shown(self):
        wait_for(lambda: self.browser.run("return document.body.dataset.state") == "shown", "the page to be filled")

    def text(self, selector):
        return self.browser.run("return document.querySelector(arguments[0]).innerText", selector)

    def rows(self, table):
        return self.browser.run("return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map((r) => "
                                "[...r.cells].map((c) => c.innerText))", table)

    def test_draws_and_fills(self):
        server = self.serve("--warm-up", "420", "--interval-ms", "250")
        self.browser.go(server.url + "/")
        self.shown()
        points = wait_for(lambda: self.browser.run("return Number(document.getElementById('chart').dataset.points || 0)"), "points")
        self.assertGreater(points, 300)
        production, rl = self.browser.run(COLOURS, ["--production", "--rl"])
        self.assertGreater(production, 200, "production's line is not drawn")
        self.assertGreater(rl, 200, "RL's line is not drawn")
        self.assertEqual([row[0] for row in self.rows("services")], ["chat@p"])
        self.assertEqual([row[0] for row in self.rows("jobs")], ["rl@p"])
        self.assertGreater(len(self.rows("replicas")), 5)
        self.assertIn("slack", self.text("#pools"))
        self.assertEqual(self.text("#mode"), "act")
        self.assertIn("chat@p", self.browser.run("return document.getElementById('decisions').textContent"))
        legend = self.text("#legend")
        self.assertIn("production in flight", legend)
        self.browser.picture("light")
        before = self.text("#facts")
        wait_for(lambda: self.text("#facts") != before, "the page to move on")
        wait_for(lambda: self.browser.run("return Number(document.getElementById('chart').dataset.points)") > points, "more points")
        self.assertEqual(self.browser.console(), [])

    def test_fits_a_phone_and_the_dark(self):
        server = self.serve("--warm-up", "300", "--interval-ms", "0", "--mode", "advise")
        for width, dark in ((1280, True), (390, False), (360, True)):
            self.browser.size(width, 900, dark)
            self.browser.go(server.url + "/")
            self.shown()
            wait_for(lambda: self.browser.run("return document.getElementById('chart').dataset.points"), "a chart")
            wide = self.browser.run("return document.documentElement.scrollWidth")
            self.assertLessEqual(wide, width, "the page scrolls sideways")
            self.browser.picture(f"{width}-{'dark' if dark else 'light'}")
        self.assertIn("Advise mode", self.text("#advise"))
        self.assertEqual(self.text("#mode"), "advise")
        self.assertEqual(self.browser.console(), [])

    def test_shows_text_as_text(self):
        server = self.serve("--warm-up", "60", "--interval-ms", "200", "--alarm")
        server.call("POST", "/v1/overrides", {"kind": "freeze", "reason": EVIL, "owner": EVIL[:90], "ttl": "1h"})
        self.browser.go(server.url + "/")
        self.shown()
        self.assertIn(EVIL, self.text("#overrides"))
        wait_for(lambda: "frozen by" in self.browser.run("return document.getElementById('decisions').textContent"), "a frozen step")
        self.assertEqual(self.browser.run("return document.title"), "Ebb")
        self.assertEqual(self.browser.run("return document.querySelectorAll('img[src=x], main script').length"), 0)
        self.assertIn("leases.lost", self.text("#problems"))
        self.assertIn("1 alarm", self.text("#health"))
        self.browser.picture("alarm")

    def test_says_that_the_connection_is_lost(self):
        server = self.serve("--warm-up", "60", "--interval-ms", "200")
        self.browser.go(server.url + "/")
        self.shown()
        server.stop()
        wait_for(lambda: "No connection" in self.text("#lost"), "the warning")
        self.assertIn("connection lost", self.text("#health"))
        self.browser.picture("lost")

    def test_asks_for_a_token(self):
        with tempfile.TemporaryDirectory() as home:
            path = os.path.join(home, "token")
            with open(path, "w") as file:
                file.write("a-secret-of-the-test\n")
            server = self.serve("--warm-up", "60", "--interval-ms", "200", "--token-file", path)
            self.browser.go(server.url + "/")
            visible = "return document.getElementById('login').checkVisibility()"
            wait_for(lambda: self.browser.run(visible), "the question")
            give = "document.getElementById('token').value = arguments[0]; document.querySelector('#login button').click();"
            self.browser.run(give, "wrong")
            wait_for(lambda: "not known" in self.text("#login-problem"), "the refusal")
            self.browser.run(give, "a-secret-of-the-test")
            self.shown()
            self.assertFalse(self.browser.run(visible))
            self.assertGreater(len(self.rows("replicas")), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
