import { syncManager } from '../../../client/index.js';

export async function addAllergy(id: string, allergy: string) {
  const record = await syncManager.getLocalData('medicalRecords', id);
  const allergies = Array.isArray(record?.allergies) ? record.allergies : [];
  await syncManager.updateData('medicalRecords', id, { allergies: [...allergies, allergy] });
}
