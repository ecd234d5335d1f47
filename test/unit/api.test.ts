import { expect, test } from 'vitest';
import { apiReport } from '../helpers/api-report.ts';

const HEAD = `# API reference

What \`mpm-migrate\` exports, and what semver covers. Made out of the sources, and held by a test: after a change
that is meant, \`npx vitest run --project unit test/unit/api.test.ts -u\` writes it anew. Where to begin:
[library.md](library.md).
`;

test('fleet 20: what the library exports is what docs/api.md says', { timeout: 180_000 }, async () => {
  const parts = apiReport().map(
    ({ name, declaration }) => `\n## ${name}\n\n\`\`\`ts\n${declaration}\n\`\`\`\n`,
  );
  await expect(HEAD + parts.join('')).toMatchFileSnapshot('../../docs/api.md');
});
