/** A listener that throws must not stop the others, nor the transaction that it is told of. */
export function safely(task: () => void): void {
  try {
    task();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
