/** The lines of a body as they come, without their ends; what follows the last line feed is none. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  // A long line comes in many pieces: each is looked through once.
  let pieces: string[] = [];
  for await (const bytes of body) {
    const chunk = decoder.decode(bytes, { stream: true });
    let at = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", at)) {
      pieces.push(chunk.slice(at, end));
      yield pieces.join("");
      pieces = [];
      at = end + 1;
    }
    if (at < chunk.length) pieces.push(chunk.slice(at));
  }
}
