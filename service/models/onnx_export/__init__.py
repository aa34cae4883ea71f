"""Models as ONNX files (https://onnx.ai), for onnxruntime and whatever else reads them."""
