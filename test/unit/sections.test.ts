import { describe, expect, test } from 'vitest';
import type { SqlFileKind } from '../../src/engine/source/sections.ts';
import { parseSqlFile, type SqlFile } from '../../src/engine/source/sql-file.ts';

function read(text: string, kind?: SqlFileKind): SqlFile {
  const file = parseSqlFile('/m/1_a.sql', text, kind);
  expect(file.problems).toEqual([]);
  for (const script of [file.up, file.down]) {
    if (!script) continue;
    // Every offset is the file's.
    const there = text.slice(script.start, script.start + script.sql.length);
    expect(script.sql.split(/\r\n|\r|\n/).length).toBe(there.split(/\r\n|\r|\n/).length);
    expect(script.sql).toHaveLength(there.length);
  }
  return file;
}

/** What is sent of each section, without comments and needless space. */
function sent(text: string, kind?: SqlFileKind) {
  const { up, down } = read(text, kind);
  const bare = (sql?: string) =>
    sql
      ?.replaceAll(/\/\*[\s\S]*?\*\/|--.*/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim();
  return { up: bare(up?.sql), down: bare(down?.sql) };
}

function outside(text: string) {
  const { up, down } = read(text);
  return [up?.options.transaction === false, down?.options.transaction === false];
}

function problems(text: string, kind?: SqlFileKind) {
  return parseSqlFile('/m/1_a.sql', text, kind).problems.map(({ message, hint }) => `${message} → ${hint}`);
}

describe('histories 5: sections of goose', () => {
  const file = `-- +goose Up
CREATE TABLE users (id int);
-- +goose StatementBegin
CREATE FUNCTION f() RETURNS void AS $$
BEGIN
  DELETE FROM users;
END;
$$ LANGUAGE plpgsql
-- +goose StatementEnd
CREATE TABLE posts (id int);

-- +goose Down
-- +goose StatementBegin
DROP TABLE posts;
DROP TABLE users;
-- +goose StatementEnd
`;

  test('Up and Down are sections; a statement that StatementEnd ends gets its ;', () => {
    const { up, down } = sent(file);
    expect(up).toMatch(
      /^CREATE TABLE users \(id int\); CREATE FUNCTION .* LANGUAGE plpgsql ; CREATE TABLE posts/,
    );
    expect(down).toBe('DROP TABLE posts; DROP TABLE users; ;');
  });

  test('as goose reads it, their case does not matter, nor the space behind --', () => {
    expect(sent('-- +goose up\nselect 1;\n--+goose DOWN\nselect 2;\n')).toEqual({
      up: 'select 1;',
      down: 'select 2;',
    });
    expect(sent(file.replaceAll('\n', '\r\n')).down).toBe('DROP TABLE posts; DROP TABLE users; ;');
  });

  test('NO TRANSACTION is for the whole file, wherever it stands', () => {
    const body = '-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n';
    expect(outside(body)).toEqual([false, false]);
    expect(outside(`-- +goose NO TRANSACTION\n${body}`)).toEqual([true, true]);
    expect(outside(`${body}-- +goose NO TRANSACTION\n`)).toEqual([true, true]);
    expect(outside(`-- +goose ENVSUB OFF\n${body}`)).toEqual([false, false]);
  });

  test.each([
    [
      '-- +goose Up\n-- +goose ENVSUB ON\nselect 1;',
      /2:1: goose replaces variables .*ENVSUB ON.* → write their values/,
    ],
    ['-- +goose Up\n-- +goose StatementBegin\nselect 1;\n', /2:1: .*StatementBegin has no StatementEnd/],
    [
      '-- +goose Up\n-- +goose StatementBegin\nselect 1;\n-- +goose Down\nselect 2;',
      /2:1: .*StatementBegin has no StatementEnd/,
    ],
    ['-- +goose Up\nselect 1;\n-- +goose StatementEnd\n', /3:1: .*StatementEnd has no StatementBegin/],
    [
      'select 1;\n-- +goose Up\nselect 2;',
      /1:1: SQL before the first marker.* → move it below -- \+goose Up/,
    ],
    ['-- +goose Up\nselect 1;\n-- +goose Up\nselect 2;', /3:1: a second \+goose Up section/],
    ['-- +goose Down\nselect 1;', /1:1: there is no -- \+goose Up section → add -- \+goose Up/],
    ['-- +goose NO TRANSACTION\nselect 1;', /1:1: .* belongs to no section → write -- \+goose Up above/],
    [
      '-- +goose Up\nselect 1;\n-- +goose Dwon\nselect 2;',
      /3:1: .*looks like a marker.* → write -- \+goose Up above/,
    ],
  ])('%j is refused', (text, said) => {
    expect(problems(text)).toEqual([expect.stringMatching(said)]);
  });
});

describe('histories 5: sections of sql-migrate', () => {
  test('Up and Down, each with its own option', () => {
    const text = `-- +migrate Up
CREATE TABLE people (id int);
-- +migrate StatementBegin
CREATE OR REPLACE FUNCTION do_something() returns void AS $$ BEGIN END; $$ LANGUAGE plpgsql
-- +migrate StatementEnd
-- +migrate Down notransaction
DROP FUNCTION do_something();
DROP TABLE people;
`;
    expect(sent(text).up).toMatch(/LANGUAGE plpgsql ;$/);
    expect(sent(text).down).toBe('DROP FUNCTION do_something(); DROP TABLE people;');
    expect(outside(text)).toEqual([false, true]);
    // It passes by an end without a beginning.
    read('-- +migrate Up\nselect 1;\n-- +migrate StatementEnd\n');
  });

  test.each([
    ['-- +migrate Up noTransaction\nselect 1;', /no option noTransaction/],
    ['-- +migrate Up\n-- +migrate StatementBegin\nselect 1;', /2:1: .*has no StatementEnd/],
    ['-- +migrate up\nselect 1;', /looks like a marker.* → write -- \+migrate Up on a line/],
    ['-- +migrate Up\nselect 1;\n -- +migrate Down\nselect 2;', /3:2: .*looks like a marker/],
  ])('%j is refused', (text, said) => {
    expect(problems(text)).toEqual([expect.stringMatching(said)]);
  });
});

describe('histories 5: sections of node-pg-migrate', () => {
  test.each([
    '-- Up Migration\ncreate table a (i int);\n\n-- Down Migration\ndrop table a;\n',
    '-- Down Migration\ndrop table a;\n-- Up Migration\ncreate table a (i int);\n',
    '------ UP MIGRATION ------\ncreate table a (i int);\n  --down  migration\ndrop table a;\n',
  ])('%j', (text) => {
    expect(sent(text)).toEqual({ up: 'create table a (i int);', down: 'drop table a;' });
  });

  test('without Down there is none, and a heading may be one', () => {
    expect(sent('-- Up Migration\nselect 1;\n')).toEqual({ up: 'select 1;', down: undefined });
    expect(sent('select 1;\n-- Down Migration\n-- drop table a;\n')).toEqual({
      up: 'select 1;',
      down: undefined,
    });
    expect(sent('-- Down Migration\nselect 1;', 'down').down).toBe('select 1;');
    read('-- down migration is not possible\nselect 1;');
    read('-- Up Migration\n-- up migration of the users\nselect 1;\n-- Down Migration\nselect 2;');
  });

  test.each([
    [
      'create table a (i int);\n-- Down Migration\ndrop table a;',
      /2:1: .* → write -- Up Migration above the changes/,
    ],
    [
      '-- Up Migration\nselect 1;\n-- Down Migration of a\nselect 2;',
      /3:1: .* → write -- Down Migration alone/,
    ],
    [
      '-- Up migration: make it\nselect 1;\n-- Down migration: drop it\nselect 2;',
      /1:1: .* → write -- Up Migration alone/,
    ],
  ])('%j is refused', (text, said) => {
    expect(problems(text)[0]).toMatch(said);
  });
});

test('histories 5: variables that dbmate puts in are refused', () => {
  const [problem] = problems('-- migrate:up env:USER\ngrant select on a to {{ .USER }};');
  expect(problem).toMatch(/1:1: dbmate puts the variable USER into the SQL.* → write its value there/);
});

describe('histories 5: sections of tern', () => {
  const marker = '---- create above / drop below ----';

  test('up is above the marker, down below it', () => {
    const text = `create table t1(id serial primary key);\n\n${marker}\n\ndrop table t1;\n`;
    expect(sent(text)).toEqual({ up: 'create table t1(id serial primary key);', down: 'drop table t1;' });
  });

  test('disable-tx is for the section that it stands in', () => {
    const text = `---- tern: disable-tx ----\nselect 1;\n${marker}\nselect 2;\n`;
    expect(outside(text)).toEqual([true, false]);
    expect(outside(`select 1;\n${marker}\n---- tern: disable-tx ----\nselect 2;\n`)).toEqual([false, true]);
    expect(outside('---- tern: disable-tx ----\nselect 1;\n')).toEqual([true, false]);
  });

  test.each([
    [`{{ template "shared/v1_001.sql" . }}\n${marker}\nselect 1;`, /1:1: .*template.* → /],
    [`select '{{.name}}';\n${marker}\nselect 1;`, /1:9: .*template/],
    [`select 1;\n${marker} drop table a;`, /2:1: tern takes .* → write it on a line of its own/],
    [`select 1;\n${marker}\nselect 2;\n${marker}\nselect 3;`, /4:1: a second/],
    [`select 1;\n---- Create above / drop below ----\nselect 2;`, /2:1: .*looks like a marker/],
  ])('%j is refused', (text, said) => {
    expect(problems(text)).toEqual([expect.stringMatching(said)]);
  });

  test('braces of other files are not looked at', () => {
    read(`select '{{1,2},{3,4}}'::int[][];`);
  });
});

describe('histories 5: formatted SQL of Liquibase', () => {
  const file = `--liquibase formatted sql

--changeset nvoxland:1 splitStatements:false stripComments:false
--comment: the first one
create table test1 (
    id int primary key
);
--rollback drop table test1;
create table test2 (id int);
-- rollback drop table test2;
`;

  test('one changeset is up, its rollback lines are down', () => {
    expect(sent(file)).toEqual({
      up: 'create table test1 ( id int primary key ); create table test2 (id int);',
      down: 'drop table test1; drop table test2;',
    });
    const block =
      '--liquibase formatted sql\n--changeset a:1\nselect 1;\n/* liquibase rollback\ndrop table a;\n*/\n';
    expect(sent(block)).toEqual({ up: 'select 1;', down: 'drop table a;' });
  });

  test('without rollback there is no down; "not required" is an empty one', () => {
    const up =
      '--liquibase formatted sql logicalFilePath:x\n-- changeset "A. B":"1 a" dbms:postgresql,h2\nselect 1;\n';
    expect(sent(up)).toEqual({ up: 'select 1;', down: undefined });
    expect(sent(`${up}--rollback not required\n`).down).toBe('');
    expect(sent(`${up}--rollback empty\n`).down).toBe('');
  });

  test('runInTransaction:false', () => {
    expect(outside(file.replace(':1 ', ':1 runInTransaction:false '))).toEqual([true, true]);
    expect(outside(file.replace(':1 ', ':1 runInTransaction:true '))).toEqual([false, false]);
  });

  test.each([
    ['context:test', /context:test: in which contexts it runs/],
    ['labels:"a, b"', /labels:"a, b": /],
    ['runOnChange:true', /runs again whenever/],
    ['runAlways:true', /runs each time/],
    ['failOnError:false', /errors are passed by/],
    ['endDelimiter:/', /ends statements with ; alone/],
    ['dbms:oracle', /does not run it on PostgreSQL/],
    ['runWith:psql', /another program/],
    ['shape:round', /not known here/],
  ])('%s is refused', (attribute, said) => {
    expect(problems(file.replace(':1 ', `:1 ${attribute} `))[0]).toMatch(said);
  });

  test.each([
    ['--preconditions onFail:HALT onError:HALT', /a precondition/],
    ['--property name:a value:b', /a property/],
    ['--ignoreLines:start', /passes by/],
    ['--changeset bob:2', /a second changeset.* → put each changeset into a file of its own/],
    ['--rollback changeSetId:1 changesetAuthor:bob', /another changeset/],
  ])('%s is refused', (line, said) => {
    expect(problems(`${file}${line}\nselect 1;\n`)[0]).toMatch(said);
  });

  test('a parameter, SQL above the changeset, a file without the first line', () => {
    expect(problems('--liquibase formatted sql\n--changeset a:1\nselect ${x};')[0]).toMatch(
      /3:8: .*parameter/,
    );
    expect(problems('--liquibase formatted sql\nselect 1;\n--changeset a:1\nselect 2;')[0]).toMatch(
      /2:1: SQL before/,
    );
    // Liquibase doesn't read it either.
    expect(sent('--changeset a:1\nselect 2;\n--rollback select 3;')).toEqual({ up: 'select 2;' });
    expect(
      problems("--liquibase formatted sql\n--changeset a:1\nselect 1;\n--rollback select 'a;\n")[0],
    ).toMatch(/4:19: this string has no closing/);
  });
});

describe('histories 5: switches', () => {
  test.each([
    '-- no-transaction\ncreate index concurrently i on a (b);',
    '-- atlas:txmode none\n\ncreate index concurrently i on a (b);',
    '-- atlas:lint ignore\n-- atlas:txmode none\n\nselect 1;',
    '-- postgres-migrations disable-transaction\nselect 1;',
    '-- by hand\n-- postgres-migrations disable-transaction\nselect 1;',
  ])('%j runs outside a transaction', (text) => {
    expect(outside(text)).toEqual([true, false]);
  });

  test.each([
    '\n-- no-transaction\nselect 1;',
    '-- no transaction\nselect 1;',
    // To Atlas it belongs to the statement, and says nothing.
    '-- atlas:txmode none\nselect 1;',
    '-- atlas:txmode file\n\nselect 1;',
    'select 1;\n\n-- atlas:txmode none\n\nselect 1;',
  ])('%j runs in one, as it does there', (text) => {
    expect(outside(text)).toEqual([false, false]);
  });

  test('options may be given from outside, as those of a file beside it', () => {
    const { up } = parseSqlFile('/m/1_a/up.sql', 'select 1;', 'up', { transaction: false });
    expect(up?.options).toEqual({ transaction: false });
  });

  test("a checkpoint of Atlas's is refused", () => {
    expect(problems('-- atlas:checkpoint\n\nselect 1;')[0]).toMatch(/a checkpoint of Atlas/);
  });
});

describe('histories 5: Drizzle', () => {
  test('a breakpoint ends a statement that has no ;', () => {
    expect(
      sent('create table a (i int)\n--> statement-breakpoint\nselect 1;--> statement-breakpoint\nselect 2'),
    ).toEqual({
      up: 'create table a (i int) ; select 1;; select 2',
      down: undefined,
    });
    expect(problems('select 1;\n--> statement-breakpoint select 2;')[0]).toMatch(
      /2:1: Drizzle takes .*select 2/,
    );
  });
});

describe('histories 5: markers of two tools', () => {
  test.each([
    [
      '-- +goose Up\nselect 1;\n-- migrate:down\nselect 2;',
      /3:1: -- migrate:down is a marker of mpm-migrate, in a file with markers of goose/,
    ],
    ['-- +goose Up\nselect 1;\n-- +migrate Down\nselect 2;', /3:1: .* sql-migrate, .* goose/],
    ['-- no-transaction\n-- +goose Up\nselect 1;', /2:1: .* goose, .* sqlx/],
    ['-- migrate:up\nselect 1;\n---- create above / drop below ----\nselect 2;', /3:1: .* tern, /],
    [
      '--liquibase formatted sql\n--changeset a:1\nselect 1;\n-- +goose Down\nselect 2;',
      /4:1: .* goose, .* liquibase/,
    ],
  ])('%j is refused', (text, said) => {
    expect(problems(text)).toEqual([expect.stringMatching(said)]);
  });
});
