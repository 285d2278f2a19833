// The `openai` package for Node.
const { OpenAI } = require("openai");

async function main() {
  const [baseURL, model, content] = process.argv.slice(2);
  const client = new OpenAI({ apiKey: "unused", baseURL, maxRetries: 0 });
  const messages = [{ role: "user", content }];
  const max_tokens = 40;
  const whole = await client.chat.completions.create({ model, messages, max_tokens });
  const pieces = [];
  for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens, stream: true })) {
    pieces.push(chunk.choices[0]?.delta?.content ?? "");
  }
  const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } }];
  const asked = [{ role: "user", content: `${content} [[tool_calls]]` }];
  const stream = client.chat.completions.stream({ model, messages: asked, max_tokens, tools });
  const called = await stream.finalMessage();
  let code = null;
  try {
    await client.chat.completions.create({ model, messages, temperature: 9 });
  } catch (error) {
    code = `${error.constructor.name} ${error.status} ${error.code} ${error.param}`;
  }
  const text = pieces.join("");
  const tool = called.tool_calls?.[0]?.function?.name ?? null;
  console.log(JSON.stringify({ whole: whole.choices[0].message.content, streamed: text, chunks: pieces.length, tool, code }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
