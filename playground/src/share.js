// Links: #spec=TEXT&net=NAME&tab=NAME&before=TEXT, where texts are UTF-8, raw deflate, base64url without padding.

export const MOST_LINK = 400_000; // characters of a fragment
export const MOST_TEXT = 2_000_000; // characters of a text

const through = async (data, stream, most = Infinity) => {
  const chunks = [];
  let size = 0;
  const reader = new Blob([data]).stream().pipeThrough(stream).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new Error(`the spec of this link has more than ${most.toLocaleString("en")} bytes`);
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
};

export const packed = async text => {
  const data = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let binary = "";
  for (let at = 0; at < data.length; at += 0x8000) binary += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

export const unpacked = async code => {
  let data;
  try {
    const binary = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
    data = Uint8Array.from(binary, char => char.charCodeAt(0));
  } catch {
    throw new Error("the link is damaged: its spec is no base64url");
  }
  let bytes;
  try {
    bytes = await through(data, new DecompressionStream("deflate-raw"), MOST_TEXT);
  } catch (error) {
    throw error instanceof TypeError ? new Error("the link is damaged: its spec cannot be unpacked") : error;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replaceAll(/\r\n?/g, "\n");
  } catch {
    throw new Error("the link is damaged: its spec is no UTF-8");
  }
};

/** Return the fragment of a link. */
export const fragment = async ({ text, net, tab, before }) => {
  const parts = [`spec=${await packed(text)}`];
  if (net) parts.push(`net=${encodeURIComponent(net)}`);
  if (tab) parts.push(`tab=${encodeURIComponent(tab)}`);
  if (before) parts.push(`before=${await packed(before)}`);
  return `#${parts.join("&")}`;
};

/** Return what a fragment says, with its texts unpacked; throws what is wrong with it. */
export const said = async hash => {
  if (hash.length > MOST_LINK)
    throw new Error(`the link is too long: ${hash.length.toLocaleString("en")} characters, and at most ${MOST_LINK.toLocaleString("en")} are taken`);
  const found = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("="), name = part.slice(0, at), value = part.slice(at + 1);
    if (name === "spec" || name === "before") found[name === "spec" ? "text" : name] = await unpacked(value);
    else if (name === "net" || name === "tab" || name === "zoo") {
      try {
        found[name] = decodeURIComponent(value);
      } catch {
        throw new Error(`the link is damaged: its ${name} is badly written`);
      }
    }
  }
  return found;
};
