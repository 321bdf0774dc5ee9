// `revision` is that of an entry of GET /api/history/:userId, which has every version and who made it.
export function bringBack(userId: string, id: string, revision: number) {
  const wanted = { collection: 'appointments', id, revision };
  return fetch(`/api/history/${userId}/restore`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(wanted),
  });
}
