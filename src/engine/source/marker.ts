import type { Direction } from '../migration.ts';
import { liquibaseSign } from './liquibase.ts';
import type { Marker, Sign, Tool } from './sign.ts';

/** Where a comment stands. */
export interface CommentPlace {
  /** Only space is before it in its line. */
  startsLine: boolean;
  /** Nothing is before it in its line. */
  isFlush: boolean;
  /** In a file of Liquibase's. */
  liquibase: boolean;
}

/** node-pg-migrate's; a comment that goes on in words may be one, or a comment. */
const UP_DOWN_MIGRATION = /^--[\s-]*(up|down)\s+migration([^\p{L}\p{N}]*)$/iu;
const TERN = '---- create above / drop below ----';

/** What a line comment says; undefined when it is no marker. Each as its tool reads it, and in its spelling alone. */
export function signOf(comment: string, place: CommentPlace): Pick<Marker, 'tool' | 'sign'> | undefined {
  const ours = /^--[ \t]*migrate:(\S.*)$/.exec(comment);
  if (ours && place.startsLine) return { tool: 'mpm-migrate', sign: oursOf(ours[1] ?? '') };
  const liquibase = place.liquibase && liquibaseSign(comment, place.startsLine);
  if (liquibase) return { tool: 'liquibase', sign: liquibase };
  const goose = place.isFlush && /^--[ \t]*\+goose[ \t]+(.*?)[ \t]*$/.exec(comment);
  if (goose) return withTool('goose', gooseSign(goose[1] ?? ''));
  const migrate = place.isFlush && /^-- \+migrate[ ][ \t]*(\S+)(.*)$/.exec(comment);
  if (migrate) return withTool('sql-migrate', sqlMigrateSign(migrate[1] ?? '', migrate[2] ?? ''));
  if (comment.includes(TERN)) return { tool: 'tern', sign: ternSign(comment) };
  if (place.isFlush && comment === '---- tern: disable-tx ----') {
    return { tool: 'tern', sign: { kind: 'outside' } };
  }
  const plain = place.startsLine && UP_DOWN_MIGRATION.exec(comment);
  if (plain) {
    const direction = plain[1]?.toLowerCase() === 'up' ? 'up' : 'down';
    return { tool: 'node-pg-migrate', sign: { kind: 'section', direction } };
  }
  if (comment.includes('-- postgres-migrations disable-transaction')) {
    return { tool: 'postgres-migrations', sign: { kind: 'outside' } };
  }
  const breakpoint = comment.indexOf('--> statement-breakpoint');
  if (breakpoint >= 0) {
    const rest = comment.slice(breakpoint + '--> statement-breakpoint'.length).trim();
    return { tool: 'drizzle', sign: rest ? behind(rest) : { kind: 'break' } };
  }
  return undefined;
}

/** Characters of a file in which its first comments are. */
const LONGEST_HEAD = 10_000;

/** Markers that count at the top of a file only. */
export function signsAtTop(text: string): Marker[] {
  const markers: Marker[] = [];
  if (text.startsWith('-- no-transaction')) {
    const [line = ''] = /^.*/.exec(text) ?? [];
    markers.push({ offset: 0, end: line.length, text: line, tool: 'sqlx', sign: { kind: 'outside' } });
  }
  // Atlas: the comments at the top, when an empty line parts them from the statements.
  const head = /^(?:--[^\r\n]*(?:\r?\n|$))+(?=\r?\n|$)/.exec(text.slice(0, LONGEST_HEAD))?.[0] ?? '';
  for (const found of head.matchAll(/^[ -~]*atlas:(\w+)(?: +([ -~]*))?\s*$/gm)) {
    const [line, name, value = ''] = found;
    const sign = atlasSign(name ?? '', value.trim());
    const at = { offset: found.index, end: found.index + line.trimEnd().length };
    if (sign) markers.push({ ...at, text: line.trimEnd(), tool: 'atlas', sign });
  }
  return markers;
}

function withTool(tool: Tool, sign: Sign | undefined): Pick<Marker, 'tool' | 'sign'> | undefined {
  return sign && { tool, sign };
}

function oursOf(words: string): Sign {
  const [, word = '', options] = /^(\S+)\s*(.*)$/.exec(words) ?? [];
  if (word === 'up' || word === 'down') return { kind: 'section', direction: word, options };
  return {
    kind: 'refused',
    message: `migrate:${word} is not a marker`,
    hint: 'write -- migrate:up or -- migrate:down',
  };
}

/** In any case, as goose has them since 3.17. */
function gooseSign(annotation: string): Sign | undefined {
  switch (annotation.toLowerCase()) {
    case 'up':
    case 'down':
      return { kind: 'section', direction: annotation.toLowerCase() as Direction };
    case 'statementbegin':
      return { kind: 'begin' };
    case 'statementend':
      return { kind: 'end' };
    case 'no transaction':
      return { kind: 'outside' };
    case 'envsub off':
      return { kind: 'none' };
    case 'envsub on':
      return {
        kind: 'refused',
        message:
          'goose replaces variables of the environment in this file (ENVSUB ON), which is not done here',
        hint: 'write their values into the SQL, and remove the line',
      };
    default:
      return undefined;
  }
}

function sqlMigrateSign(command: string, rest: string): Sign | undefined {
  const options = rest.split(/\s+/).filter(Boolean);
  switch (command) {
    case 'Up':
    case 'Down': {
      const unknown = options.find((option) => option !== 'notransaction');
      if (unknown !== undefined) {
        return {
          kind: 'refused',
          message: `sql-migrate has no option ${unknown}, and passes it by`,
          hint: 'write notransaction, or remove it',
        };
      }
      const direction = command === 'Up' ? 'up' : 'down';
      return { kind: 'section', direction, ...(options.length && { options: 'transaction:false' }) };
    }
    case 'StatementBegin':
      return { kind: 'begin' };
    case 'StatementEnd':
      return { kind: 'end' };
    default:
      return undefined;
  }
}

function ternSign(comment: string): Sign {
  if (comment === TERN) return { kind: 'divide' };
  return {
    kind: 'refused',
    message: `tern takes ${TERN} for its marker, and what is beside it for SQL`,
    hint: 'write it on a line of its own',
  };
}

function behind(rest: string): Sign {
  return {
    kind: 'refused',
    message: `Drizzle takes what is behind --> statement-breakpoint for SQL: ${rest.slice(0, 40)}`,
    hint: 'write it on the next line',
  };
}

function atlasSign(name: string, value: string): Sign | undefined {
  if (name === 'txmode' && value === 'none') return { kind: 'outside' };
  if (name !== 'checkpoint') return undefined;
  return {
    kind: 'refused',
    message: 'a checkpoint of Atlas stands for the files before it, and is not run beside them',
    hint: 'move it out of the folder: a new tenant gets the files before it',
  };
}
