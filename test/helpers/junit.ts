import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { validateXML } from 'xmllint-wasm';

/** What the schema of JUnit's XML has to say against a document; nothing when it is valid. */
export async function junitProblems(xml: string): Promise<string[]> {
  const schema = await readFile(join(import.meta.dirname, 'junit.xsd'), 'utf8');
  const { errors } = await validateXML({
    xml: { fileName: 'report.xml', contents: xml },
    schema: { fileName: 'junit.xsd', contents: schema },
    initialMemoryPages: 256,
    maxMemoryPages: 4096,
  });
  return errors.map(({ message }) => message);
}
