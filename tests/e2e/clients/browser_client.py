"""A browser: `fetch` reads the stream of a chat, `EventSource` the events of a job."""

import json
import sys

from playwright.sync_api import sync_playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_CALLS = """
async ([model, content]) => {
  const post = (path, body) => fetch(path, {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body),
  });
  const messages = [{role: "user", content}], max_tokens = 40;
  const whole = await (await post("/v1/chat/completions", {model, messages, max_tokens})).json();

  const response = await post("/v1/chat/completions", {model, messages, max_tokens, stream: true});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let received = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) received += part.value;
  const lines = received.split("\\n").filter((line) => line.startsWith("data: {"));
  const chunks = lines.map((line) => JSON.parse(line.slice(6)));

  const asked = {model, user_prompt: content, max_tokens, stream: true};
  const accepted = await (await post("/submit", asked)).json();
  const followed = await new Promise((resolve) => {
    let text = "";
    const source = new EventSource(accepted.events_url);
    source.addEventListener("delta", (event) => { text += JSON.parse(event.data).delta.content ?? ""; });
    source.addEventListener("result", () => { source.close(); resolve(text); });
  });

  const refused = await post("/v1/chat/completions", {model, messages, temperature: 9});
  const called = await (await post("/v1/chat/completions", {
    model, max_tokens, messages: [{role: "user", content: `${content} [[tool_calls]]`}],
  })).json();
  return {
    whole: whole.choices[0].message.content,
    streamed: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
    followed,
    chunks: chunks.length,
    tool: called.choices[0].message.tool_calls?.[0].function.name ?? null,
    code: `${refused.status} ${(await refused.json()).error.code}`,
  };
}
"""


def main(executable: str, base_url: str, model: str, prompt: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        page = browser.new_page()
        page.goto(base_url.removesuffix("/v1") + "/health")
        print(json.dumps(page.evaluate(_CALLS, [model, prompt])))
        browser.close()


main(*sys.argv[1:])
