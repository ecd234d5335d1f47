import { FleetCommand } from '../command.ts';
import { EXIT } from '../../errors.ts';
import type { DoctorReport } from '../../fleet/doctor/doctor.ts';

export default class Doctor extends FleetCommand {
  static override summary = 'Look at everything that the other commands need, and say what is wrong';

  static override description = `Configuration, files, the central database, and of each server: rights (too few and too many), whether it takes
writes (rolled back), a pooler in between, version, clock, room for connections, the template; tenants whose database is not there, databases without a tenant, creations that did not end, databases to which everybody may connect, or that set a role or a path.
Changes nothing. Exits with 4 when there is an error; warnings alone are no failure.`;

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<DoctorReport> {
    const { flags } = await this.parse(Doctor);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { doctor } = await import('../../fleet/doctor/doctor.ts');
    const report = await doctor(config);
    const { doctorText } = await import('../../ui/views/doctor.ts');
    this.show(doctorText(report, out));
    if (report.errors) process.exitCode = EXIT.found;
    return report;
  }
}
