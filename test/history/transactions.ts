/** Whether a file begins or ends transactions itself; bodies of functions, strings and comments do not count. */
export function controlsTransactions(sql: string): boolean {
  const bare = sql.replace(
    /\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g,
    ' ',
  );
  return /(?:^|;)\s*(?:begin|start\s+transaction|commit|rollback|end)(?:\s+(?:work|transaction|isolation[\w\s]*))?\s*;/i.test(
    bare,
  );
}
