/** Text as XML and HTML take it, in elements and in quoted attributes; what XML 1.0 has no place for becomes `\x1b`. */
export function escapeMarkup(text: string): string {
  return (
    text
      .replace(/\r\n?/g, '\n')
      .replace(
        /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g,
        spelled,
      )
      .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, spelled)
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // A CI that prints the file must find no command in it (engine 35).
      .replace(/##(?=\[|vso\[|teamcity\[)/gi, '&#35;#')
      .replace(/^([^\S\n]*):(?=:)/gm, '$1&#58;')
  );
}

/** The same for an attribute, where a line end would be read as a space. */
export function escapeAttribute(text: string): string {
  return escapeMarkup(text).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
}

function spelled(character: string): string {
  const code = character.charCodeAt(0);
  return code < 256
    ? String.raw`\x${code.toString(16).padStart(2, '0')}`
    : String.raw`\u${code.toString(16).padStart(4, '0')}`;
}
