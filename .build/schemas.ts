import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createFormatter,
  createParser,
  createProgram,
  DEFAULT_CONFIG,
  SchemaGenerator,
  StringType,
  type SubNodeParser,
} from 'ts-json-schema-generator';
import ts from 'typescript';

/** What `--json` prints and `--events` writes, by the name of its file. */
const DOCUMENTS = {
  'run-report': 'RunReport',
  'status-report': 'StatusReport',
  'plan-report': 'PlanReport',
  'exec-report': 'ExecReport',
  'gate-report': 'GateReport',
  'lint-report': 'LintReport',
  'check-report': 'CheckReport',
  'adopt-report': 'AdoptReport',
  'snapshot-report': 'SnapshotReport',
  'verify-report': 'VerifyReport',
  'rehearse-report': 'RehearseReport',
  'run-event': 'RunEvent',
};

/** A code is a word in the schema: there are new ones in every release, and readers must not break on them. */
const errorCodes: SubNodeParser = {
  supportsNode: (node) => ts.isTypeReferenceNode(node) && node.typeName.getText() === 'ErrorCode',
  createType: () => new StringType(),
};

/**
 * Writes the JSON Schema of each document, made from its type, so that the two cannot differ.
 * @param options.strict nothing may be in a document that its type does not name
 */
export async function schemas(root: string, folder: string, options = { strict: false }): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = {
    ...DEFAULT_CONFIG,
    path: join(root, 'src/index.ts'),
    tsconfig: join(root, 'tsconfig.json'),
    skipTypeCheck: true,
    sortProps: false,
    additionalProperties: !options.strict,
  };
  const program = createProgram(config);
  const parser = createParser(program, config, (all) => all.addNodeParser(errorCodes));
  const generator = new SchemaGenerator(program, parser, createFormatter(config), config);
  const writing = Object.entries(DOCUMENTS).map(async ([name, type]) => {
    const file = `${name}.schema.json`;
    const $id = `https://unpkg.com/mpm-migrate/dist/schemas/${file}`;
    const schema = { $id, title: type, ...generator.createSchema(type) };
    await writeFile(join(folder, file), `${JSON.stringify(schema, null, 2)}\n`);
  });
  await Promise.all(writing);
}
