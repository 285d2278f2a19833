// Server-sent events out of a body of `fetch`, because EventSource cannot send a header.

/** Yields {name, data}; for a comment, which says only that the other side lives, null. */
export async function* events(body) {
  let rest = "";
  for await (const text of texts(body)) {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop();
    yield* parts.map(parsed);
  }
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  let name = "message";
  const data = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}
