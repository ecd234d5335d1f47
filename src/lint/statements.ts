import type { MpmError } from '../errors.ts';
import type { SqlScript } from '../engine/migration.ts';
import { type Effects, effectsOf } from '../engine/sql/effects/effects.ts';
import { opened } from '../engine/sql/effects/tree.ts';
import type { Node } from '../engine/sql/nature.ts';
import { parseScript } from '../engine/sql/parse.ts';
import { type Note, scan } from '../engine/sql/scan.ts';

/** A statement of a migration. Offsets are UTF-16 units of the file. */
export interface Statement {
  tree: Node;
  kind: string;
  node: Record<string, unknown>;
  effects: Effects;
  /** Its first character, behind comments in front of it. */
  start: number;
  end: number;
  text: string;
  /** Statements with the same number run in one transaction. */
  transaction: number;
  /** False: it is sent alone. */
  inTransaction: boolean;
  notes: readonly Note[];
}

/** What the parser refuses. */
export interface Refused {
  /** With its place. */
  error: MpmError;
  notes: readonly Note[];
}

export interface ReadScript {
  statements: readonly Statement[];
  refused: readonly Refused[];
}

const EMPTY: Effects = { tables: [], makes: [], unknown: [], calls: [] };

/** Reads a section's statements: trees, places, and which of them share a transaction. */
export async function readStatements(script: SqlScript): Promise<ReadScript> {
  const { sql, start: offset, options, blocks = [] } = script;
  const statements: Statement[] = [];
  const refused: Refused[] = [];
  await parseScript(script, ({ start: from, end: to, node: tree, doubt }) => {
    const raw = sql.slice(from, to);
    const found = scan(raw);
    const start = offset + from + (found.statements[0]?.start ?? 0);
    const end = offset + to;
    const notes = found.notes.map((note) => ({ ...note, offset: offset + from + note.offset }));
    if (doubt) {
      refused.push({ error: doubt, notes });
    } else if (tree) {
      const [kind, node] = opened(tree);
      const block = blocks.findIndex(([first, last]) => first < end && end <= last);
      const isAlone = !options.transaction && block < 0;
      const transaction = isAlone ? blocks.length + statements.length : Math.max(block, 0);
      const text = sql.slice(start - offset, to);
      const effects = kind ? effectsOf(tree) : EMPTY;
      statements.push({
        tree,
        kind,
        node,
        effects,
        start,
        end,
        text,
        transaction,
        inTransaction: !isAlone,
        notes,
      });
    }
  });
  return { statements, refused };
}
