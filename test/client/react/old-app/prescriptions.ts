import { syncService } from '../../../../client/compat/index.js';

export interface Prescription {
  id: string;
  drug: string;
  refills: number;
}

/** A service without a screen, as the app has one for each kind of record. */
export class PrescriptionService {
  prescribe(drug: string): Promise<string> {
    return syncService.addData('prescriptions', { drug, refills: 2 });
  }

  async refill(id: string): Promise<number> {
    const found = (await syncService.getLocalData('prescriptions', id)) as Prescription | null;
    if (found === null) throw new Error('no such prescription');
    await syncService.updateData('prescriptions', id, { refills: found.refills - 1 });
    return found.refills - 1;
  }

  withdraw(id: string): Promise<void> {
    return syncService.deleteData('prescriptions', id);
  }

  async all(): Promise<Prescription[]> {
    return (await syncService.getData('prescriptions')) as Prescription[];
  }
}
