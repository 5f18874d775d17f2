/** A parameter of a query: its name decoded, and both as sent. */
export interface Parameter {
  name: string;
  /** As sent, behind the first `=`; empty without one. */
  value: string;
  /** The whole of it as sent. */
  text: string;
}

/** `%41` and `+` (a space) decoded to text; what cannot be decoded stays as it is. */
export function decoded(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** The parameters of a query, in order; a query is a list with `&` by custom (WHATWG URL 5.1), not by RFC 3986. */
export function parameters(query: string): Parameter[] {
  if (query === "") return [];
  return query.split("&").map((text) => {
    const equals = text.indexOf("=");
    const name = decoded(equals < 0 ? text : text.slice(0, equals));
    return { name, value: equals < 0 ? "" : text.slice(equals + 1), text };
  });
}

/** A name or a value as it stands in a query. */
export const encoded = (text: string): string => encodeURIComponent(text);
