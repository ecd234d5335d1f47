import { FleetCommand } from '../command.ts';
import { EXIT } from '../../errors.ts';
import type { DoctorReport } from '../../fleet/doctor/doctor.ts';

export default class Doctor extends FleetCommand {
  static override summary = 'Check configuration, connectivity, and permissions';

  static override description = `Also checks the files, the central database, and each server, and finds missing databases, databases without a tenant,
unfinished creations, and databases that every role can connect to. Changes nothing. Exits with 4 if there is an error,
and with 0 if there are only warnings.`;

  static override examples = ['<%= config.bin %> <%= command.id %>'];

  async run(): Promise<DoctorReport> {
    const { flags } = await this.parse(Doctor);
    const [config, { out }] = await Promise.all([this.settings(flags), this.display()]);
    const { doctor } = await import('../../fleet/doctor/doctor.ts');
    const report = await doctor(config);
    const { doctorText } = await import('../../ui/views/doctor.ts');
    this.show(doctorText(report, out));
    await this.annotate({ problems: report.findings.flatMap(({ problems = [] }) => problems) });
    if (report.errors) process.exitCode = EXIT.found;
    return report;
  }
}
