import { FleetCommand } from '../command.ts';
import type { InitReport } from '../../fleet/verbs/init.ts';

export default class Init extends FleetCommand {
  static override summary = 'Create a configuration, folders, and a first migration';

  static override description = `If migrations of another tool (Prisma, Drizzle, Flyway, goose, ...) are here, their folder becomes the core folder.
Changes no files, and touches no database.`;

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<InitReport> {
    await this.parse(Init);
    const [{ initProject }, { initText }, { out, shortPath }] = await Promise.all([
      import('../../fleet/verbs/init.ts'),
      import('../../ui/views/init.ts'),
      this.display(),
    ]);
    const report = initProject(process.cwd());
    this.show(initText(report, out, shortPath));
    return report;
  }
}
