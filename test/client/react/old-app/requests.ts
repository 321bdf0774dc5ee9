import { syncManager } from '../../../../client/compat/index.js';

export interface RegistrationRequest {
  id: string;
  name: string;
  status: 'pending' | 'approved';
}

export const approve = (id: string): Promise<void> =>
  syncManager.updateData('registrationRequests', id, { status: 'approved' });
